"""The same alert once, none too many, each tried again, and nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from gates import alerting, channel
from gates.alerting import Alerting
from gates.alerts import Alert, Delivery, Urgency, turns
from gates.phases import Event
from gates.settings.alerts import AlertSettings, ChannelSettings
from gates.state import AuditRow
from gates.status import ControlStatus, UnresolvedStatus
from tests.control import MODEL, Desk, in_loop, settings_of
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


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in a thread
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "QUICK", (0.0, 0.001, 0.001))


@in_loop
async def test_each_urgency_has_its_channels() -> None:
    bench = Bench()
    bench.alerting.offer(alert())
    bench.alerting.offer(alert(urgency=Urgency.INFO, number=1))
    await until(lambda: len(bench.notifier.sent) == 3)
    told = sorted((channel, each.urgency) for channel, each in bench.notifier.sent)
    assert told == [("chat", "critical"), ("chat", "info"), ("pager", "critical")]


@in_loop
async def test_the_same_one_is_sent_once_until_it_may_be_repeated() -> None:
    bench = Bench()
    for _ in range(3):
        bench.alerting.offer(alert())
    await until(lambda: bench.counted() == {"sent": 2, "repeated": 2})
    bench.alerting.offer(alert(1))
    await until(lambda: len(bench.notifier.sent) == 4)
    bench.clock.advance(60)
    bench.alerting.offer(alert())
    await until(lambda: len(bench.notifier.sent) == 6)


@in_loop
async def test_a_flood_is_cut_and_told_of_once_there_is_room() -> None:
    bench = Bench()
    for number in range(20):
        bench.alerting.offer(alert(number, Urgency.WARNING))
    await until(lambda: bench.counted(Urgency.WARNING) == {"sent": 5, "over_rate": 15})
    bench.clock.advance(channel.RATE_SECONDS)
    bench.alerting.offer(alert(99, Urgency.WARNING))
    await until(lambda: len(bench.notifier.sent) == 6)
    assert "15 more were held back" in bench.notifier.sent[-1][1].text


@in_loop
async def test_what_fails_is_tried_again_and_given_up_in_the_end() -> None:
    bench = Bench()
    troubles = iter(["down", "down"])
    bench.notifier.trouble = lambda channel: next(troubles, "") if channel == "chat" else ""
    bench.alerting.offer(alert())
    await until(lambda: bench.counted() == {"sent": 2})
    bench.notifier.trouble = lambda channel: "down"
    bench.alerting.offer(alert(1, Urgency.WARNING))
    await until(lambda: bench.counted(Urgency.WARNING) == {"failed": 1})


@in_loop
async def test_a_critical_one_is_tried_for_hours_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pager that refuses for minutes, or refuses this very one."""
    monkeypatch.setattr(channel, "LATE", (0.01,) * 3000)
    bench = Bench()
    refused = {"pager"}
    bench.notifier.trouble = lambda channel: "busy" if channel in refused else ""
    bench.alerting.offer(alert())
    await until(lambda: bench.counted() == {"sent": 1, "late": 1})
    assert bench.log.rows == {}, "half told is not told"
    bench.alerting.offer(alert(1))
    await until(lambda: bench.counted() == {"sent": 2, "late": 2})
    refused.clear()
    await until(lambda: len(bench.names("pager")) == 2)
    assert all("late: it could not be told at 20" in told.text for to, told in bench.notifier.sent if to == "pager")
    await until(lambda: set(bench.log.rows) == {alert().key, alert(1).key})


@in_loop
async def test_a_critical_one_is_given_up_in_the_end_and_is_not_on_record_as_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel, "LATE", (0.001,) * 2)
    first = Bench()
    first.notifier.trouble = lambda channel: "down" if channel == "pager" else ""
    first.alerting.on_record(row(first, "roll_back"))
    await until(lambda: first.counted() == {"sent": 1, "late": 1, "failed": 1})
    second = first.next(after=5)
    await second.alerting.recall([row(second, "roll_back", ago=5)])
    await until(lambda: second.names("pager") == ["rolled_back"])


def test_the_pauses_of_a_critical_one_grow_and_last_for_hours() -> None:
    pauses = [*channel.QUICK, *channel.LATE]
    assert pauses == sorted(pauses)
    assert sum(pauses) >= 5 * 3600
    assert max(pauses) <= 300


@in_loop
async def test_a_critical_one_is_sent_whatever_else_was_told() -> None:
    """Info that shares its channel has filled the ten minutes."""
    bench = Bench()
    for number in range(20):
        bench.alerting.offer(alert(number, Urgency.INFO))
    for number in range(20, 30):
        bench.alerting.offer(alert(number))
    await until(lambda: bench.counted() == {"sent": 20})
    await until(lambda: bench.counted(Urgency.INFO) == {"sent": 5, "over_rate": 15})


@in_loop
async def test_a_critical_one_goes_before_what_waits() -> None:
    bench = Bench()
    bench.notifier.gate.clear()
    for number in range(3):
        bench.alerting.offer(alert(number, Urgency.INFO))
    await asyncio.sleep(0.05)
    bench.alerting.offer(alert(9))
    bench.notifier.gate.set()
    await until(lambda: len(bench.names()) == 4)
    chat = [each for to, each in bench.notifier.sent if to == "chat"]
    assert [each.urgency for each in chat] == ["info", "critical", "info", "info"]
    assert ["since then: rolled back" in each.text for each in chat] == [False, False, True, True], "what reads as news"


@in_loop
async def test_no_more_than_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "QUEUE", 3)
    monkeypatch.setattr(channel, "LATE", (3600.0,))
    bench = Bench()
    bench.notifier.trouble = lambda channel: "down"
    for number in range(5):
        bench.alerting.offer(alert(number))
    await until(lambda: bench.counted() == {"late": 6, "dropped": 4})
    bench.alerting.offer(alert(9))
    await until(lambda: bench.counted() == {"late": 6, "dropped": 4, "failed": 2})
    bench.alerting.close()


@in_loop
async def test_a_channel_that_hangs_holds_up_nobody() -> None:
    bench = Bench()
    bench.notifier.gate.clear()
    began = asyncio.get_running_loop().time()
    bench.alerting.offer(alert())
    assert asyncio.get_running_loop().time() - began < 5, "an offer does not wait"
    bench.notifier.gate.set()
    await until(lambda: bench.counted() == {"sent": 2})


@in_loop
async def test_a_test_passes_all_limits_and_tells_what_came_of_it() -> None:
    bench = Bench()
    bench.notifier.trouble = lambda channel: "no such key" if channel == "pager" else ""
    for _ in range(10):
        deliveries = await bench.alerting.test(Urgency.CRITICAL)
    assert deliveries == [Delivery("pager", "no such key"), Delivery("chat", "")]
    assert await Bench(AlertSettings()).alerting.test(Urgency.INFO) == []


@in_loop
async def test_what_is_decided_is_told() -> None:
    async with Desk(settings=replace(settings_of(), alerts=SETTINGS)) as desk:
        worker = desk.worker()
        await desk.pass_stage(worker)
        await until(lambda: len(desk.notifier.sent) == 2)  # what is critical goes before what waits
        await worker.poll()
        worker.traffic(500, failures=400)
        await desk.wait(2, worker)
        await until(lambda: len(desk.notifier.sent) == 4)
        told = [(channel, each.name) for channel, each in desk.notifier.sent]
        assert [name for channel, name in told if channel == "chat"] == ["started", "climbed", "rolled_back"]
        assert ("pager", "rolled_back") in told


@in_loop
async def test_a_rollback_that_the_store_does_not_take_is_told_all_the_same() -> None:
    async with Desk(settings=replace(settings_of(), alerts=SETTINGS)) as desk:
        desk.store.broken = "gone"
        await desk.command(Event.ROLL_BACK)
        await until(lambda: "rolled_back" in [each.name for _, each in desk.notifier.sent])


def row(bench: Bench, event: str, position: int = 2, ago: float = 0.0) -> AuditRow:
    of = "" if event in ("revert", "approve") else "r1"
    return AuditRow(7, bench.clock.now - ago, MODEL, of, event, "controller", "because", "shadow", position, "{}")


@in_loop
async def test_what_was_told_is_not_told_again_by_the_next_control_plane() -> None:
    first = Bench()
    rolled_back = row(first, "roll_back")
    first.alerting.on_record(rolled_back)
    first.look("store_gone")
    await until(lambda: len(first.log.rows) == 2)
    second = first.next(after=30)
    await second.alerting.recall([rolled_back])
    second.look("store_gone")
    second.alerting.on_record(row(second, "promote", 6))
    await until(lambda: second.names() == ["promoted"])
    assert second.names("pager") == []
    assert second.counted() == {}, "nor is it counted as if it had come once more"


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("advise", "advised"),
        ("revert", "reverted"),
        ("approve", "approved"),
        ("hold", "awaits_approval"),
        ("overdue", "overdue"),
    ],
)
@in_loop
async def test_what_is_another_thing_each_time_is_told_each_time_and_once(event: str, name: str) -> None:
    """Advice to climb, then to roll back; back to the version before, and forth; one review, and another; a stage that
    waits or is late, and does so again after a step down."""
    first = Bench()
    rows = [row(first, event, ago=20), row(first, event, ago=10)]
    for each in rows:
        first.alerting.on_record(each)
    await until(lambda: first.names() == [name] * 2)
    await until(lambda: len(first.log.rows) == 2)
    second = first.next(after=1)
    await second.alerting.recall(rows)
    second.look("store_gone")
    await until(lambda: second.names() == ["store_gone"])


@in_loop
async def test_another_configuration_that_is_refused_is_told_and_the_same_one_is_not() -> None:
    bench = Bench()
    for digest in ('"aa"', '"bb"', '"aa"'):
        refused = AuditRow(0, bench.clock.now, "", "", "reload_refused", "ada", "because", "idle", 0, digest)
        bench.alerting.on_record(refused)
    await until(lambda: bench.names() == ["configuration_refused"] * 2)
    assert bench.counted(Urgency.WARNING)["repeated"] == 1


@in_loop
async def test_what_was_decided_and_not_told_is_told_by_the_next_control_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "QUICK", (0.0, 3600.0))
    first = Bench()
    first.notifier.trouble = lambda channel: "down" if channel == "pager" else ""
    first.alerting.on_record(row(first, "roll_back"))
    await until(lambda: first.names() == ["rolled_back"])
    first.alerting.close()
    second = first.next(after=5)
    await second.alerting.recall([row(second, "roll_back", ago=5), row(second, "start", 0, ago=10)])
    await until(lambda: second.names("pager") == ["rolled_back"])
    await until(lambda: second.names() == ["rolled_back", "started"])


@in_loop
async def test_what_is_older_than_what_may_be_repeated_is_history() -> None:
    bench = Bench()
    await bench.alerting.recall([row(bench, "roll_back", ago=SETTINGS.repeat_after)])
    bench.alerting.offer(alert(1))
    await until(lambda: bench.counted() == {"sent": 2})


@in_loop
async def test_the_end_of_a_condition_is_told_also_by_another_control_plane() -> None:
    first = Bench()
    first.look("store_gone", "registry_gone")
    await until(lambda: len(first.log.rows) == 2)
    second = first.next(after=10 * SETTINGS.repeat_after)
    await second.alerting.recall([])
    second.look("store_gone")
    await until(lambda: second.names() == ["registry_gone_over"])
    await until(lambda: len(second.log.rows) == 1)
    third = second.next(after=1)
    await third.alerting.recall([])
    third.look()
    await until(lambda: third.names() == ["store_gone_over"])


@in_loop
async def test_a_condition_that_flickers_is_not_told() -> None:
    bench = Bench()
    for _ in range(5):
        bench.alerting.look({("no_workers", ""): "because"})
        bench.clock.advance(alerting.STEADY_SECONDS / 2)
        bench.alerting.look({("no_workers", ""): "because"})
        bench.clock.advance(alerting.STEADY_SECONDS / 4)
        bench.alerting.look({})
    bench.look("no_workers")
    await until(lambda: bench.counted() == {"sent": 2})


@in_loop
async def test_a_condition_that_is_over_and_comes_back_is_told_each_time() -> None:
    """Soon after, and for long: the last that the pager heard must not be that it is over."""
    bench = Bench(replace(SETTINGS, repeat_after=3600.0))
    heard = []
    for conditions in (("store_gone",), (), ("store_gone",), (), ("store_gone",)):
        bench.look(*conditions)
        heard.append("store_gone" if conditions else "store_gone_over")
        await until(lambda: bench.names() == heard)
    await until(lambda: bench.names("pager") == ["store_gone"] * 3)


@in_loop
async def test_a_condition_that_is_gone_for_a_moment_holds() -> None:
    """What comes and goes every few seconds would else fill the pager."""
    bench = Bench()
    bench.look("no_workers")
    for _ in range(5):
        bench.look(seconds=alerting.CALM_SECONDS / 2)
        bench.look("no_workers")
    bench.alerting.offer(alert(1))
    await until(lambda: bench.names() == ["no_workers", "rolled_back"])


@in_loop
async def test_an_end_that_was_told_leaves_nothing_for_the_next_control_plane_to_tell() -> None:
    """A trouble of last month is not over today: what is kept of it would never be forgotten."""
    first = Bench()
    first.look("store_gone")
    await until(lambda: len(first.log.rows) == 1)
    first.look()
    await until(lambda: first.names() == ["store_gone", "store_gone_over"])
    await until(lambda: first.log.rows == {})
    second = first.next(after=100 * SETTINGS.repeat_after)
    second.alerting.offer(alert(1))
    await second.alerting.recall([])
    second.look()
    await until(lambda: second.names() == ["rolled_back"])


@in_loop
async def test_a_beginning_that_waits_gives_way_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel comes back and hears the newest alone; the pager, which hears of no end, hears the beginning."""
    monkeypatch.setattr(channel, "LATE", (0.001,) * 3000)
    bench = Bench()
    bench.notifier.trouble = lambda channel: "down"
    bench.look("store_gone")
    await until(lambda: bench.counted().get("late") == 2)
    bench.look()
    await until(lambda: bench.counted().get("overtaken") == 1)
    await bench.alerting.test(Urgency.INFO)  # the try that was on its way has failed by now
    bench.notifier.trouble = lambda channel: ""
    await until(lambda: bench.names("pager") == ["store_gone"])
    bench.alerting.offer(alert(1))
    await until(lambda: bench.names()[-1:] == ["rolled_back"])
    assert "store_gone" not in bench.names()
    await until(lambda: {key.name for key in bench.log.rows} == {"rolled_back"})


@in_loop
async def test_a_log_that_fails_keeps_no_alert_back() -> None:
    bench = Bench(log=FakeAlertLog(broken="gone"))
    await bench.alerting.recall([row(bench, "roll_back")])
    await until(lambda: bench.counted() == {"sent": 2})


@in_loop
async def test_what_holds_for_a_while_is_told_at_both_ends() -> None:
    async with Desk(settings=replace(settings_of(), alerts=SETTINGS)) as desk:
        for _ in range(2):
            desk.alerting.look(alerting.conditions(desk.controller.queries.status(), "mlflow is gone"))
            desk.clock.advance(alerting.STEADY_SECONDS)
        await until(lambda: len(desk.notifier.sent) == 4)
        names = {each.name for _, each in desk.notifier.sent}
        assert names == {"started", "no_workers", "registry_gone"}
        for seconds in (0.0, alerting.CALM_SECONDS):
            desk.clock.advance(seconds)
            desk.worker().push()
            desk.alerting.look(alerting.conditions(desk.controller.queries.status(), ""))
        await until(lambda: len(desk.notifier.sent) == 6)
        assert {each.name for _, each in desk.notifier.sent} > {"no_workers_over", "registry_gone_over"}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("MLflow is gone", "It waits for @champion: MLflow is gone"),
        ("", "It waits for @champion: the registry was not asked yet"),
    ],
)
def test_a_model_without_a_route_calls_somebody(reason: str, told: str) -> None:
    """One that waits for its candidate's alias is served all the same."""
    waiting = tuple(
        UnresolvedStatus(model, "@champion", routed, reason) for model, routed in (("m", False), ("n", True))
    )
    status = ControlStatus(1, (), {"w": 1}, unresolved=waiting)
    held = alerting.conditions(status, "")
    assert held == {("no_route", "m"): told}
    (alert,) = turns(set(), held)
    assert (alert.urgency, alert.title) == (Urgency.CRITICAL, "m: has no route, and clients get 404")
