"""Copies are held back while the loop lags or the champion slows down, and come back by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest
from uvicorn._types import ASGISendCallable

from proxy.brake import BEAT, LONGEST_LAG, Brake
from proxy.throttle import REST, STALE, Pace, Valve
from tests.servers import Background, Seen, eventually, predicting
from tests.workers import Scene, target


@pytest.fixture
def mirrored(scene: Scene) -> Iterator[Scene]:
    scene.routed(candidate=target("42", scene.candidate))
    brake = scene.worker.worker.mirror.brake
    brake.champions.clear()
    brake.on = True
    yield scene
    brake.on = False


def dropped(scene: Scene, reason: str) -> int:
    return scene.window.shadow.dropped.get(reason, 0)


def comes_back(scene: Scene) -> None:
    """Copies are sent again, one after the other."""

    def three_in_a_row() -> bool:
        before = scene.window.shadow.sent
        for _ in range(3):
            assert scene.post().status == 200
        return scene.window.shadow.sent == before + 3

    eventually(three_in_a_row)


def test_a_loop_that_lags_gets_no_more_copies_until_it_is_in_time(mirrored: Scene, background: Background) -> None:
    mirrored.post()
    stop = time.monotonic() + 60

    def block() -> None:
        time.sleep(2 * LONGEST_LAG)
        if time.monotonic() < stop:
            background.loop.call_later(BEAT / 4, block)

    background.loop.call_soon_threadsafe(block)

    def held_back() -> bool:
        assert mirrored.post().status == 200
        return dropped(mirrored, "loop_lag") > 2

    eventually(held_back)
    stop = 0.0
    comes_back(mirrored)
    tally = mirrored.window.shadow
    assert tally.offered == tally.sent + sum(tally.dropped.values())


def slowed(scene: Scene, seconds: Callable[[], float]) -> None:
    """Have the champion take so many seconds, asked anew for each request."""

    async def handle(seen: Seen, send: ASGISendCallable) -> None:
        await asyncio.sleep(seconds())
        await predicting(1.0)(seen, send)

    scene.champion.handler = handle


def knows_its_champion(scene: Scene) -> None:
    """Ask, without a copy, until the champion's pace is known."""
    brake = scene.worker.worker.mirror.brake
    scene.routed(candidate=None)

    def known() -> bool:
        scene.post()
        return "m" in brake.champions and brake.champions["m"][0].usual is not None

    eventually(known)
    scene.routed(candidate=target("42", scene.candidate))


def held_back(scene: Scene) -> None:
    before = dropped(scene, "champion_slow")

    def more() -> bool:
        assert scene.post().status == 200
        return dropped(scene, "champion_slow") > before

    eventually(more)


def test_a_champion_that_copies_slow_down_is_rid_of_them(mirrored: Scene) -> None:
    """The first copies do it already: what it did without them is known from before the rollout. Answers are read off
    one connection after the other; each window takes its second."""
    knows_its_champion(mirrored)
    usual, shadow = mirrored.worker.worker.mirror.brake.champions["m"][0].usual or 0, mirrored.window.shadow
    before = shadow.sent
    slowed(mirrored, lambda: 0.1 + 3 * usual if shadow.sent > before else 0.0)
    held_back(mirrored)
    slowed(mirrored, lambda: 0.0)
    comes_back(mirrored)


def test_a_champion_that_is_slow_without_copies_too_has_them_back(mirrored: Scene) -> None:
    knows_its_champion(mirrored)
    usual = mirrored.worker.worker.mirror.brake.champions["m"][0].usual or 0
    slowed(mirrored, lambda: 0.05 + 3 * usual)
    held_back(mirrored)
    comes_back(mirrored)


def test_a_champion_first_seen_with_copies_is_looked_at_without_them(mirrored: Scene) -> None:
    """A worker that starts in the middle of a rollout learns what the champion does by itself, too."""
    held_back(mirrored)
    comes_back(mirrored)
    assert mirrored.worker.worker.mirror.brake.champions["m"][0].usual is not None


def test_a_champion_that_is_hardly_asked_holds_no_copies_back(background: Background) -> None:
    """At 100 % it answers none but copies: no window of its answers would ever end, and none be let through again."""

    def reason(since: float) -> str:
        brake, valve = Brake(background.loop), Valve()
        valve.adjust(pressure=True, rest=REST)
        brake.champions["m"] = Pace(time.monotonic() - since), valve
        try:
            return brake.reason("m")
        finally:
            brake.stop()

    assert background.call(lambda: reason(0.0)) == "champion_slow"
    assert background.call(lambda: reason(2 * STALE)) == ""


def test_nothing_beats_while_there_is_nothing_to_mirror(mirrored: Scene) -> None:
    mirrored.post()
    brake = mirrored.worker.worker.mirror.brake
    eventually(lambda: not brake.beating)
    mirrored.routed(candidate=None)
    mirrored.post()
    assert not brake.beating
