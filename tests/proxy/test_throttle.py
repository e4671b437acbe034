"""Copies are held back while the loop lags or the champion slows down, and come back by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn._types import ASGISendCallable

from proxy.mirror import BEAT, LONGEST_LAG
from proxy.throttle import LEAST_SHARE, PACE_SAMPLES, STEP, Lag, Pace, Valve
from tests.servers import Background, Seen, eventually, predicting
from tests.workers import Scene, target

# The control, by numbers


@given(st.lists(st.booleans(), max_size=200))
def test_the_share_stays_within_its_bounds_and_passes_what_it_says(pressures: list[bool]) -> None:
    valve = Valve()
    for pressure in pressures:
        valve.adjust(pressure)
        assert LEAST_SHARE <= valve.share <= 1
    passed = sum(valve.lets_through() for _ in range(1000))
    assert abs(passed - 1000 * valve.share) < 1.001


def test_the_share_is_halved_under_pressure_and_comes_back_step_by_step() -> None:
    valve = Valve()
    valve.adjust(pressure=True)
    valve.adjust(pressure=True)
    assert valve.share == 0.25
    valve.adjust(pressure=False)
    assert valve.share == 0.25 + STEP
    for _ in range(20):
        valve.adjust(pressure=False)
    assert valve.share == 1


def test_one_late_turn_is_no_lag_and_several_are() -> None:
    lag = Lag()
    lag.observe(2 * LONGEST_LAG)
    assert lag.seconds < LONGEST_LAG
    for _ in range(5):
        lag.observe(2 * LONGEST_LAG)
    assert lag.seconds > LONGEST_LAG
    for _ in range(20):
        lag.observe(0)
    assert lag.seconds < LONGEST_LAG / 10


def paced(pace: Pace, start: float, seconds: float, windows: int) -> float:
    """So many windows of answers that take `seconds` each; returns the time behind them."""
    now = start
    for _ in range(windows):
        while not pace.observe(seconds, now := now + 2 / PACE_SAMPLES):
            pass
    return now


def test_a_champion_is_slow_beside_what_is_usual() -> None:
    pace = Pace(0.0)
    now = paced(pace, 0.0, 0.05, 5)
    assert not pace.slow
    now = paced(pace, now, 0.1, 1)
    assert not pace.slow, "twice the usual is within what a champion does by itself"
    now = paced(pace, now, 0.3, 1)
    assert pace.slow
    paced(pace, now, 0.05, 1)
    assert not pace.slow


def test_what_lasts_becomes_the_usual() -> None:
    pace = Pace(0.0)
    now = paced(pace, 0.0, 0.05, 5)
    paced(pace, now, 0.2, 100)
    assert not pace.slow


def test_a_champion_that_gets_faster_is_held_to_that() -> None:
    pace = Pace(0.0)
    now = paced(pace, 0.0, 0.5, 5)
    now = paced(pace, now, 0.05, 1)
    paced(pace, now, 0.3, 1)
    assert pace.slow


def test_a_few_answers_say_nothing() -> None:
    pace = Pace(0.0)
    assert not any(pace.observe(9.0, now) for now in range(PACE_SAMPLES - 1))
    assert (pace.slow, pace.usual) == (False, None)


# In a worker


@pytest.fixture
def mirrored(scene: Scene) -> Iterator[Scene]:
    scene.routed(candidate=target("42", scene.candidate))
    scene.worker.worker.mirror.throttling = True
    yield scene
    scene.worker.worker.mirror.throttling = False


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
    mirror = mirrored.worker.worker.mirror

    def usual_is_known() -> bool:
        mirrored.post()
        return mirror._loads["m"].pace.usual is not None

    eventually(usual_is_known)
    pause = 0.1 + 3 * (mirror._loads["m"].pace.usual or 0)

    def held_back() -> bool:
        assert mirrored.post().status == 200
        return dropped(mirrored, "champion_slow") > 0

    eventually(held_back)
    pause = 0.0
    comes_back(mirrored)


def test_nothing_beats_while_there_is_nothing_to_mirror(mirrored: Scene) -> None:
    mirrored.post()
    mirror = mirrored.worker.worker.mirror
    eventually(lambda: mirror._heart is None)
    mirrored.routed(candidate=None)
    mirrored.post()
    assert mirror._heart is None
