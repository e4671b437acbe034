"""The same alert once, what was decided and what holds, and by one control plane after another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gates import alerting, channel
from gates.alerts import Urgency, turns
from gates.phases import Event
from gates.state import AuditRow
from gates.status import ControlStatus, UnresolvedStatus
from tests.control import Desk, in_loop, settings_of, until
from tests.fakes import FakeAlertLog
from tests.gates.bench import SETTINGS, Bench, alert, row

pytestmark = pytest.mark.usefixtures("quick_tries")


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
        # what the pager has not got yet would give way to newer word
        await until(lambda: bench.names("pager") == ["store_gone"] * heard.count("store_gone"))


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
