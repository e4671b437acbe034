from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.plan import Deadline, Plan, Stage
from proxy.snapshot import BASIS_POINTS, Phase

ALL = Stage(BASIS_POINTS)


@pytest.mark.parametrize("values", [{"share_bp": -1}, {"share_bp": 10_001}, {"min_duration": -1}, {"min_requests": -1}])
def test_stages_that_cannot_be(values: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"percent|negative"):
        replace(Stage(0), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shadow", "steps", "bake"),
    [
        (Stage(0), (), ALL),
        (Stage(1), (ALL,), ALL),
        (Stage(0), (Stage(0), ALL), ALL),
        (Stage(0), (Stage(500), Stage(500), ALL), ALL),
        (Stage(0), (Stage(500), Stage(100), ALL), ALL),
        (Stage(0), (Stage(500),), ALL),
        (Stage(0), (ALL,), Stage(500)),
    ],
)
def test_plans_that_cannot_be(shadow: Stage, steps: tuple[Stage, ...], bake: Stage) -> None:
    with pytest.raises(ValueError, match=r"plan\."):
        Plan(shadow, steps, bake)


@given(st.sets(st.integers(1, BASIS_POINTS - 1), max_size=8))
def test_every_rising_ramp_is_a_plan(shares: set[int]) -> None:
    steps = (*map(Stage, sorted(shares)), ALL)
    plan = Plan(Stage(0), steps, replace(ALL, min_duration=5))
    phases = [plan.phase_at(position) for position in range(len(plan.stages))]
    assert phases == [Phase.SHADOW, *[Phase.RAMP] * len(steps), Phase.BAKE]
    assert plan.stages[plan.last] is plan.bake
    assert [stage.share_bp for stage in plan.stages] == sorted(stage.share_bp for stage in plan.stages)


@pytest.mark.parametrize("limits", [{"max_bad_answers": 0}, {"cool_down": -1.0}])
def test_limits_that_cannot_be(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"plan\."):
        Plan(Stage(0), (ALL,), ALL, **limits)  # type: ignore[arg-type]


@pytest.mark.parametrize("after", [0.0, -5.0])
def test_a_deadline_takes_time(after: float) -> None:
    with pytest.raises(ValueError, match=r"plan\.deadline"):
        Deadline(after)


def test_a_step_down_is_two_stages_more() -> None:
    plan = Plan(Stage(0), (Stage(500), ALL), ALL)
    once = (Phase.SHADOW, Phase.RAMP, Phase.RAMP, Phase.BAKE)
    assert plan.visits() == once
    assert plan.visits(2) == once[2:]
    assert replace(plan, on_fail="step_down").visits() == (*once, Phase.RAMP, Phase.RAMP)


@given(st.sets(st.integers(1, BASIS_POINTS - 1), max_size=8), st.integers(0, BASIS_POINTS))
def test_any_share_can_be_made_a_step(shares: set[int], share: int) -> None:
    plan = Plan(Stage(0), (*map(Stage, sorted(shares)), ALL), ALL)
    through = plan.through(share)
    assert through.stages[through.position_of(share)].share_bp == share
    assert {stage.share_bp for stage in through.stages} == {*shares, 0, BASIS_POINTS, share}
    assert through.through(share) == through
    assert plan.stages[plan.position_of(share)].share_bp <= share


def test_a_step_between_asks_what_the_one_before_it_does() -> None:
    first, second = Stage(500, 30, 7), Stage(5_000, 60, 9, approval=True)
    plan = Plan(Stage(0), (first, second, ALL), ALL)
    assert plan.through(1_000).steps[1] == replace(first, share_bp=1_000)
    assert plan.through(9_000).steps[2] == replace(second, share_bp=9_000, approval=False)
    assert plan.through(100).steps[0] == replace(first, share_bp=100)
