"""The control of the copies, by numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.brake import LONGEST_LAG
from proxy.throttle import LEAST_SHARE, PACE_SAMPLES, STEP, Lag, Pace, Valve


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
    pace, now, found = Pace(0.0), 0.0, []
    for seconds, windows in ((0.05, 5), (0.1, 1), (0.3, 1), (0.05, 1)):
        now = paced(pace, now, seconds, windows)
        found.append(pace.slow)
    assert found == [False, False, True, False], "twice the usual is within what a champion does by itself"


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
