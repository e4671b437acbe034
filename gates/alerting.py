"""Alerts from their reason to their channel: the same one once, none too many, each tried again, and nobody waits.

What was told is on record beside the decisions, so whoever goes on after this process tells nothing twice, and tells
what this one had no time for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from gates.alerts import CONDITIONS, TEST, Alert, AlertKey, Delivery, Urgency, ended, holding, told_by, turns
from gates.channel import CHANNEL_OUTCOMES, Channel
from gates.controller.daemonthread import DaemonThread, in_thread
from gates.phases import RETREATS
from gates.ports import AlertLog, Clock, Notifier, StoreError
from gates.settings import Settings
from gates.settings.alerts import AlertSettings
from gates.state import AuditRow
from gates.status import ControlStatus, RolloutStatus
from gates.verdict import GateResult, Verdict
from proxy.snapshot import Phase

logger = logging.getLogger("penstock.alerts")

OUTCOMES = ("repeated", *CHANNEL_OUTCOMES)
LOOK_EVERY = 2.0
STEADY_SECONDS = 6.0
"""A condition is told of that has held for so long: workers need a moment to find a new control plane."""
CALM_SECONDS = 60.0
"""One that has been gone for so long is over: what comes and goes is told of once, and not every few seconds."""

Conditions = Mapping[tuple[str, str], str]
MakeNotifier = Callable[[AlertSettings], Notifier]


def conditions(status: ControlStatus, registry_trouble: str) -> Conditions:
    """What holds at this moment that people are told of."""
    found = {("no_workers", ""): "Requests are served by workers that are out of sight, or not at all."}
    found = {} if status.workers else found
    if status.store_trouble:
        found["store_gone", ""] = status.store_trouble
    if registry_trouble:
        found["registry_gone", ""] = registry_trouble
    for one in status.unresolved:
        if not one.routed:
            found["no_route", one.model] = f"It waits for {one.alias}: {one.reason or 'the registry was not asked yet'}"
    for model in status.models:
        if model.rollout is None:
            continue
        if model.rollout.stuck:
            found["stuck", model.model] = model.rollout.stuck
        if model.candidate:
            found |= {(name, model.model): text for name, text in _of_rollout(model.rollout)}
    return found


def _of_rollout(rollout: RolloutStatus) -> Iterator[tuple[str, str]]:
    """Name and text of each condition of a rollout that is under way."""
    if failed := [gate for gate in rollout.gates if gate.verdict is Verdict.FAIL]:
        yield "gate_failed", _said(failed)
    held = [gate for gate in rollout.gates if gate.gate in rollout.held_by and gate.verdict is Verdict.INSUFFICIENT]
    if held and rollout.phase is Phase.BAKE:
        yield "bake_waits", _said(held)


def _said(gates: Iterable[GateResult]) -> str:
    return "; ".join(f"gate {gate.gate}: {gate.reason}" for gate in gates)


class Alerting:
    """A queue for each channel, so that one that hangs holds up no other."""

    def __init__(self, settings: AlertSettings, make: MakeNotifier, clock: Clock, log: AlertLog) -> None:
        """Raises Unusable."""
        self.outcomes = {(urgency, outcome): 0 for urgency in Urgency for outcome in OUTCOMES}
        self._make = make
        self._clock = clock
        self._settings = settings
        self._notifier = make(settings)
        self._log = log
        self._log_calls = DaemonThread("the log of alerts")
        self._notes: set[asyncio.Task[None]] = set()
        self._sent: dict[AlertKey, float] = {}
        self._since: dict[tuple[str, str], float] = {}
        """Since when a condition holds that was not told, or holds no more that was."""
        self._told: set[tuple[str, str]] = set()
        self._channels: dict[str, Channel] = {}

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """What makes these settings count. Raises Unusable."""
        notifier = self._make(settings.alerts)

        def follow() -> None:
            self._settings, self._notifier = settings.alerts, notifier
            for channel in self._channels.values():
                channel.notifier = notifier

        return follow

    async def recall(self, rows: Sequence[AuditRow]) -> None:
        """Go on where the last control plane stopped; `rows` are the newest on record, newest first.

        What it decided and did not tell is told now, as far as it is not older than what may be repeated."""
        try:
            told = await in_thread(self._log_calls, self._log.told)
        except StoreError as error:
            logger.warning("what was told before is not known; some alerts may come twice: %s", error)
            told = {}
        self._told = holding(told)
        self._sent |= {key: self._monotonic(at) for key, at in told.items() if not self._is_old(at)}
        for row in reversed([row for row in rows if not self._is_old(row.at)]):
            alert = _told_by(row)
            if alert is not None and alert.key not in self._sent:
                self.offer(alert)

    def on_record(self, row: AuditRow) -> None:
        """A row was written: tell who is to know. Never blocks."""
        if (alert := _told_by(row)) is not None:
            self.offer(alert)

    def look(self, now: Conditions) -> None:
        """What holds at this moment; what began a while ago is told, and what ended, each time anew."""
        at = self._clock.monotonic()
        self._since = {condition: self._since.get(condition, at) for condition in now.keys() ^ self._told}
        settled = {condition for condition, since in self._since.items() if at - since >= self._patience(condition)}
        before, self._told = self._told, self._told ^ settled
        for alert in turns(before, {condition: now.get(condition, "") for condition in self._told}):
            self._tell(alert)

    def offer(self, alert: Alert) -> None:
        """To the channels of its urgency, unless it is the same as before."""
        now = self._clock.monotonic()
        last = self._sent.get(alert.key)
        if last is not None and now - last < self._settings.repeat_after:
            self._count(alert, "repeated")
            return
        self._sent = {key: at for key, at in self._sent.items() if now - at < self._settings.repeat_after}
        self._sent[alert.key] = now
        self._tell(alert)

    async def test(self, urgency: Urgency) -> list[Delivery]:
        """Send one to each channel of this urgency, past all limits, and tell what came of it."""
        alert = Alert(TEST, "", urgency, f"Penstock: a test of {urgency} alerts", "Nothing has happened.")
        names = self._settings.routes.get(urgency, ())
        return list(await asyncio.gather(*(self._channel(name).test(alert) for name in names)))

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()
        self._log_calls.shutdown(wait=False)

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            self._channels[name] = Channel(name, self._notifier, self._clock, lambda: self._settings.most)
        return self._channels[name]

    def _tell(self, alert: Alert) -> None:
        """To each channel of its urgency; once all have taken it, it is on record as told."""
        names = self._settings.routes.get(alert.urgency, ())
        owed = set(names)

        def done(name: str, outcome: str) -> None:
            self._count(alert, outcome)
            if outcome == "sent":
                owed.discard(name)
                if not owed and self._is_so(alert):
                    self._notes.add(note := asyncio.get_running_loop().create_task(self._note(alert.key)))
                    note.add_done_callback(self._notes.discard)

        for name in names:
            self._channel(name).put(alert, partial(done, name))

    def _is_so(self, alert: Alert) -> bool:
        """A condition may have ended or begun again by the time that its beginning or end was taken."""
        name, subject, _ = alert.topic
        return name not in CONDITIONS or ((name, subject) in self._told) == (ended(alert.key) is None)

    def _patience(self, condition: tuple[str, str]) -> float:
        return CALM_SECONDS if condition in self._told else STEADY_SECONDS

    async def _note(self, key: AlertKey) -> None:
        wall = self._clock.wall()
        try:
            await in_thread(self._log_calls, self._log.tell, key, wall, wall - self._settings.repeat_after)
        except StoreError as error:
            logger.warning("alert %s was told, and is not on record as such: %s", key.name, error)

    def _count(self, alert: Alert, outcome: str) -> None:
        self.outcomes[alert.urgency, outcome] += 1

    def _is_old(self, wall: float) -> bool:
        return self._clock.wall() - wall >= self._settings.repeat_after

    def _monotonic(self, wall: float) -> float:
        """The same moment by the other clock, now at the latest."""
        return self._clock.monotonic() - max(self._clock.wall() - wall, 0.0)


def _told_by(row: AuditRow) -> Alert | None:
    return told_by(row.event, row.model, row.by, row.reason, _occasion(row))


def _occasion(row: AuditRow) -> str:
    """A retreat that had to be made again is the same one, and so is what other control planes find in the same files;
    everything else is another thing each time, in a stage that a rollout comes back to as well."""
    if not row.model:
        return row.inputs
    if row.event in RETREATS:
        return f"{row.rollout}:{row.position}"
    return f"{row.rollout}:{row.at!r}"
