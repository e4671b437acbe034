"""A bench to try alerts at: what is told, to which channels, and what they got."""

from __future__ import annotations

from collections.abc import Mapping

from gates import alerting
from gates.alerting import Alerting
from gates.alerts import Alert, Urgency
from gates.settings.alerts import AlertSettings, ChannelSettings
from gates.state import AuditRow
from tests.control import MODEL
from tests.fakes import FakeAlertLog, FakeClock, FakeNotifier

ROUTES = {"critical": ("pager", "chat"), "warning": ("chat",), "info": ("chat",)}
SETTINGS = AlertSettings((ChannelSettings("pager"), ChannelSettings("chat")), ROUTES, repeat_after=60.0, most=5)


def alert(number: int = 0, urgency: Urgency = Urgency.CRITICAL) -> Alert:
    return Alert("rolled_back", MODEL, urgency, "rolled back", "because", f"r{number}")


class Bench:
    def __init__(self, settings: AlertSettings = SETTINGS, log: FakeAlertLog | None = None) -> None:
        self.clock, self.notifier = FakeClock(), FakeNotifier()
        self.log = log or FakeAlertLog()
        self.alerting = Alerting(settings, lambda asked: self.notifier, self.clock, self.log)

    def next(self, after: float = 0.0) -> Bench:
        """The one that goes on after this one, so many seconds later; its monotonic clock begins anew."""
        bench = Bench(log=self.log)
        bench.clock.now = self.clock.now + after
        bench.clock.seconds = 5.0
        return bench

    def look(self, *conditions: str, seconds: float = alerting.CALM_SECONDS) -> None:
        """These hold, and no others: for long enough to be told of at either end."""
        now = {(condition, ""): "because" for condition in conditions}
        self.alerting.look(now)
        self.clock.advance(seconds)
        self.alerting.look(now)

    def names(self, channel: str = "chat") -> list[str]:
        return [each.name for to, each in self.notifier.sent if to == channel]

    def counted(self, urgency: Urgency = Urgency.CRITICAL) -> Mapping[str, int]:
        found = {outcome: number for (of, outcome), number in self.alerting.outcomes.items() if of is urgency}
        return {outcome: number for outcome, number in found.items() if number}


def row(bench: Bench, event: str, position: int = 2, ago: float = 0.0) -> AuditRow:
    of = "" if event in ("revert", "approve") else "r1"
    return AuditRow(7, bench.clock.now - ago, MODEL, of, event, "controller", "because", "shadow", position, "{}")
