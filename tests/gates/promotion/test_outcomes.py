"""Outcomes joined to arms: as the data plane assigned, or as the answer said."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gates.promotion.outcomes import SETTLING, Joined, Outcome, Turn, join
from proxy.routing import assign
from proxy.snapshot import ModelRoute, Origin, Phase, Target

TURNS = (
    Turn(1000.0, "r1", "40", "42", 0),
    Turn(2000.0, "r1", "40", "42", 500),
    Turn(3000.0, "r1", "40", "42", 5000),
    Turn(4000.0, "r1", "40", "42", 10_000),
    Turn(5000.0, "", "40", "42", 0),
)
units = st.text(min_size=1, max_size=20)


def outcome(unit: str, at: float, version: str = "") -> Outcome:
    return Outcome(unit, unit, "correct", 1.0, at, version)


@given(units, st.sampled_from([500, 2500, 5000, 9999]))
def test_the_arm_is_the_one_that_the_data_plane_assigns(unit: str, share: int) -> None:
    origin = (Origin("h", 1),)
    route = ModelRoute("m", "/", Target("40", origin), Target("42", origin), Phase.RAMP, share, 3, "r1")
    found = join([Turn(0.0, "r1", "40", "42", share)], outcome(unit, 100.0))
    assert isinstance(found, Joined)
    assert found.arm == assign(route, unit.encode()).variant
    assert not found.exact


@given(units)
def test_what_had_no_other_arm_beside_it_is_left_out(unit: str) -> None:
    assert join(TURNS, outcome(unit, 999.0)) == "no_rollout"
    assert join(TURNS, outcome(unit, 1500.0)) == "no_split"
    assert join(TURNS, outcome(unit, 4500.0)) == "no_split"
    assert join(TURNS, outcome(unit, 5500.0)) == "no_rollout"


@given(units)
def test_just_after_a_change_a_unit_that_moved_is_not_guessed(unit: str) -> None:
    moved = TURNS[1].arm_of(unit) != TURNS[2].arm_of(unit)
    during, after = (join(TURNS, outcome(unit, 3000.0 + later)) for later in (SETTLING / 2, SETTLING * 2))
    assert (during == "unsure") == moved
    assert isinstance(after, Joined)


def test_what_the_answer_says_of_itself_comes_first_fallbacks_included() -> None:
    fell = next(str(number) for number in range(100) if TURNS[2].arm_of(str(number)) == "candidate")
    found = join(TURNS, outcome(fell, 3500.0, version="40"))
    assert isinstance(found, Joined)
    assert (found.arm, found.exact) == ("champion", True)
    assert join(TURNS, outcome(fell, 3500.0, version="39")) == "unknown_version"
    assert join(TURNS, replace(outcome(fell, 3500.0), unit="")) == "no_key"
