"""What becomes of an alert at one channel: none too many, each tried again, the urgent first, and nobody waits."""

from __future__ import annotations

import asyncio

import pytest

from gates import channel
from gates.alerts import Delivery, Urgency
from gates.settings.alerts import AlertSettings
from tests.control import in_loop, until
from tests.gates.bench import Bench, alert, row

pytestmark = pytest.mark.usefixtures("quick_tries")


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
    monkeypatch.setattr(channel, "LATE", (0.01,) * 30_000)
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
    bench.alerting.offer(alert())
    assert not bench.notifier.gate.is_set(), "an offer does not wait for it"
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
async def test_a_beginning_that_waits_gives_way_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The channel comes back and hears the newest alone; the pager, which hears of no end, hears the beginning."""
    monkeypatch.setattr(channel, "LATE", (0.01,) * 30_000)
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
