"""The control of the copies, by numbers."""

from __future__ import annotations

import random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.brake import LONGEST_LAG
from proxy.throttle import LEAST_SHARE, PACE_SAMPLES, REST, STEP, Lag, Pace, Valve


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


def window(pace: Pace, start: float, seconds: float, share: float = 0.0) -> float:
    """One window of answers that take `seconds` each, of which `share` are copied; returns the time at its end."""
    now, due = start, 0.0
    while True:
        due += share
        if due >= 1:
            pace.copied()
            due -= 1
        now += 2 / PACE_SAMPLES
        if pace.observe(seconds, now):
            return now


def paced(pace: Pace, start: float, seconds: float, windows: int) -> float:
    now = start
    for _ in range(windows):
        now = window(pace, now, seconds)
    return now


def test_a_champion_is_slow_beside_what_is_usual() -> None:
    pace, found = Pace(0.0), []
    now = paced(pace, 0.0, 0.05, 20)
    for seconds in (0.1, 0.3, 0.05):
        now = window(pace, now, seconds, 1.0)
        found.append(pace.slow)
    assert found == [False, True, False], "twice the usual is within what a champion does by itself"


def test_what_lasts_without_copies_becomes_the_usual() -> None:
    pace = Pace(0.0)
    now = paced(pace, 0.0, 0.05, 20)
    now = paced(pace, now, 0.5, REST)
    window(pace, now, 0.5, 1.0)
    assert not pace.slow


def test_what_copies_do_to_a_champion_never_becomes_its_usual() -> None:
    pace = Pace(0.0)
    now = paced(pace, 0.0, 0.05, 20)
    for _ in range(1000):
        now = window(pace, now, 0.5, 1.0)
        assert pace.slow


def test_a_champion_that_gets_faster_is_held_to_that() -> None:
    pace = Pace(0.0)
    now = paced(pace, 0.0, 0.5, 20)
    now = paced(pace, now, 0.05, 30)
    window(pace, now, 0.3, 1.0)
    assert pace.slow


def test_a_few_answers_say_nothing() -> None:
    pace = Pace(0.0)
    assert not any(pace.observe(9.0, now) for now in range(PACE_SAMPLES - 1))
    assert (pace.slow, pace.usual) == (False, None)


def test_behind_pressure_the_valve_rests_and_goes_on_at_half() -> None:
    valve, seen = Valve(), []
    valve.adjust(pressure=True, rest=REST)
    for _ in range(REST + 2):
        seen.append(valve.share)
        valve.adjust(pressure=True, rest=REST)
    assert seen == [*[LEAST_SHARE] * REST, 0.5, LEAST_SHARE], "pressure without copies is not theirs"


class World:
    """A champion whose windows' means are drawn around a median, and go up by `harm` seconds at a full share of copies;
    and the control of its copies, which knew it for a while before the first of them."""

    def __init__(self, seed: int, median: float, spread: float, harm: float = 0.0) -> None:
        self.draw = random.Random(seed)
        self.median, self.spread, self.harm = median, spread, harm
        self.pace, self.valve = Pace(0.0), Valve()
        self.now = 0.0
        self.shares: list[float] = []
        self.extra: list[float] = []
        for _ in range(30):
            self.step(0.0)
            self.valve = Valve()

    def step(self, share: float) -> None:
        seconds = self.median * self.draw.lognormvariate(0, self.spread) + self.harm * share
        self.now = window(self.pace, self.now, seconds, share)
        self.valve.adjust(self.pace.slow, REST)

    def run(self, windows: int) -> None:
        for _ in range(windows):
            self.shares.append(self.valve.share)
            self.extra.append(self.harm * self.valve.share)
            self.step(self.valve.share)


@pytest.mark.parametrize("spread", [0.1, 0.5, 0.8, 1.2], ids=lambda spread: f"spread {spread}")
def test_a_champion_that_varies_by_itself_keeps_its_copies(spread: float) -> None:
    """Else a machine that is busy with other work would hold a rollout up for ever: gates want half of the copies."""
    shares = []
    for seed in range(20):
        world = World(seed, 0.02, spread)
        world.run(300)
        shares.append(mean(world.shares))
    assert mean(shares) > 0.65


@pytest.mark.parametrize("harm", [0.1, 0.5, 2.0], ids=lambda harm: f"{harm} s")
def test_a_champion_that_copies_hurt_is_rid_of_most_of_the_harm(harm: float) -> None:
    for seed in range(10):
        world = World(seed, 0.01, 0.1, harm)
        world.run(300)
        assert mean(world.extra) < 0.25 * harm
        assert mean(world.extra[-50:]) < 0.25 * harm, "and it stays so"


def test_a_champion_that_slows_down_by_itself_has_its_copies_back_soon() -> None:
    world = World(1, 0.01, 0.1)
    world.run(50)
    world.median = 0.2
    world.run(50)
    assert mean(world.shares[-20:]) > 0.9
