"""Copies are held back while the loop lags or the champion slows down, and come back by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from uvicorn._types import ASGISendCallable

from proxy.brake import BEAT, LONGEST_LAG
from tests.servers import Background, Seen, eventually, predicting
from tests.workers import Scene, target


@pytest.fixture
def mirrored(scene: Scene) -> Iterator[Scene]:
    scene.routed(candidate=target("42", scene.candidate))
    scene.worker.worker.mirror.brake.on = True
    yield scene
    scene.worker.worker.mirror.brake.on = False


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


def test_a_champion_that_slows_down_is_rid_of_copies_until_it_is_well(mirrored: Scene) -> None:
    """Answers are read off one connection after the other; each window takes its second."""
    pause = 0.0

    async def handle(seen: Seen, send: ASGISendCallable) -> None:
        await asyncio.sleep(pause)
        await predicting(1.0)(seen, send)

    mirrored.champion.handler = handle
    brake = mirrored.worker.worker.mirror.brake

    def usual_is_known() -> bool:
        mirrored.post()
        return "m" in brake.champions and brake.champions["m"][0].usual is not None

    eventually(usual_is_known)
    pause = 0.1 + 3 * (brake.champions["m"][0].usual or 0)

    def held_back() -> bool:
        assert mirrored.post().status == 200
        return dropped(mirrored, "champion_slow") > 0

    eventually(held_back)
    pause = 0.0
    comes_back(mirrored)


def test_nothing_beats_while_there_is_nothing_to_mirror(mirrored: Scene) -> None:
    mirrored.post()
    brake = mirrored.worker.worker.mirror.brake
    eventually(lambda: not brake.beating)
    mirrored.routed(candidate=None)
    mirrored.post()
    assert not brake.beating
