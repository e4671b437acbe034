from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gates.decision import CONTROLLER, Command, Decision, Observation, Rollout, decide, waiting_for
from gates.phases import CARRYING, CLIMBING, ENDED, TRANSITIONS, Event, IllegalEvent
from gates.plan import Plan
from gates.verdict import GateResult, Verdict
from proxy.snapshot import Phase
from tests.control import PLAN, TERMS
from tests.gates.test_verdict import result, results

SHADOW = Rollout("r1", "m", "40", "42", "ada", TERMS, Phase.SHADOW, begun=3, epoch=3)
PASSED = (result(Verdict.PASS),)
ENOUGH = Observation(elapsed=1e6, requests=10**6, results=PASSED)

positions = st.integers(0, PLAN.last)
commands = st.none() | st.builds(Command, st.sampled_from(Event), st.just("ada"), st.sampled_from(["", "why"]))
observations = st.builds(Observation, st.floats(0, 60), st.integers(0, 300), results.map(tuple))


@st.composite
def rollouts(draw: st.DrawFn) -> Rollout:
    """In any phase and at any position that go together."""
    phase = draw(st.sampled_from(Phase))
    position = draw(positions)
    assume(phase not in CLIMBING or PLAN.phase_at(position) is phase)
    return replace(SHADOW, phase=phase, position=position, epoch=7)


def at(position: int, phase: Phase | None = None) -> Rollout:
    return replace(SHADOW, position=position, phase=phase or PLAN.phase_at(position))


def decided(rollout: Rollout, seen: Observation = ENOUGH, command: Command | None = None) -> Decision:
    decision = decide(rollout, seen, command, 9)
    assert decision is not None
    return decision


@given(rollouts(), observations, commands)
def test_decide_is_total_and_keeps_to_the_table(rollout: Rollout, seen: Observation, command: Command | None) -> None:
    """Whatever comes: a lawful change, no change, or IllegalEvent for a person's wish alone."""
    try:
        decision = decide(rollout, seen, command, 9)
    except IllegalEvent:
        assert command is not None
        return
    if decision is None:
        assert command is None
        return
    assert (rollout.phase, decision.event) in TRANSITIONS
    assert decision.reason
    assert decision.rollout.reason == decision.reason
    assert decision.rollout.id == rollout.id


@given(rollouts(), observations)
def test_a_gate_that_fails_rolls_back_wherever_the_candidate_is_alive(rollout: Rollout, seen: Observation) -> None:
    failing = replace(seen, results=(*seen.results, result(Verdict.FAIL, gate="errors")))
    decision = decide(rollout, failing, None, 9)
    if rollout.phase not in CARRYING:
        assert decision is None
        return
    assert decision is not None
    assert (decision.event, decision.by, decision.rollout.phase) == (Event.ROLL_BACK, CONTROLLER, Phase.ROLLED_BACK)
    assert decision.rollout.gate in {r.gate for r in failing.results if r.verdict is Verdict.FAIL}
    assert decision.rollout.epoch == 9


@given(rollouts(), observations, st.sampled_from(sorted(set(Event) - {Event.ROLL_BACK})))
def test_a_gates_rollback_comes_before_any_other_wish(rollout: Rollout, seen: Observation, event: Event) -> None:
    assume(rollout.carrying)
    failing = replace(seen, results=(result(Verdict.FAIL),))
    assert decided(rollout, failing, Command(event, "ada")).event is Event.ROLL_BACK


@pytest.mark.parametrize("phase", CARRYING)
def test_a_persons_rollback_is_theirs_even_where_a_gate_fails(phase: Phase) -> None:
    failing = Observation(results=(result(Verdict.FAIL),))
    decision = decided(replace(SHADOW, phase=phase), failing, Command(Event.ROLL_BACK, "ada", "smoke"))
    assert (decision.by, decision.reason, decision.rollout.gate) == ("ada", "smoke", "")


@given(rollouts(), st.floats(0, 1e9), results.map(tuple))
def test_nothing_advances_without_data(rollout: Rollout, elapsed: float, judged: tuple[GateResult, ...]) -> None:
    """Not even where the plan asks for no time and no requests."""
    shadow, *steps, bake = (replace(stage, min_duration=0, min_requests=0) for stage in PLAN.stages)
    careless = replace(rollout, terms=replace(TERMS, plan=Plan(shadow, tuple(steps), bake)))
    decision = decide(careless, Observation(elapsed, 0, judged), None, 9)
    assert decision is None or decision.event is Event.ROLL_BACK


@given(rollouts(), observations)
def test_the_plan_alone_advances_where_nothing_is_waited_for(rollout: Rollout, seen: Observation) -> None:
    assume(not any(r.verdict is Verdict.FAIL for r in seen.results))
    decision = decide(rollout, seen, None, 9)
    assert (decision is not None) == (rollout.phase in CLIMBING and not waiting_for(rollout, seen))


@pytest.mark.parametrize("verdict", [Verdict.INSUFFICIENT, Verdict.FAIL])
def test_an_undecided_gate_holds_the_stage(verdict: Verdict) -> None:
    seen = replace(ENOUGH, results=(*PASSED, result(Verdict.INSUFFICIENT, gate="p99"), result(verdict, "advisory")))
    assert decide(SHADOW, seen, None, 9) is None
    assert waiting_for(SHADOW, seen) == ["gate p99"]


def test_what_is_waited_for_is_told() -> None:
    assert waiting_for(SHADOW, Observation(2.2, 30)) == ["8 s of 10 s", "70 of 100 requests"]


def test_the_climb_stage_by_stage() -> None:
    rollout, path = SHADOW, []
    while rollout.phase not in ENDED:
        decision = decided(rollout)
        path.append((decision.event, decision.rollout.share_bp))
        rollout = decision.rollout
    climbs = [(Event.CLIMB, 500), (Event.CLIMB, 5_000), (Event.CLIMB, 10_000)]
    assert path == [*climbs, (Event.BAKE, 10_000), (Event.PROMOTE, 0)]


def test_a_new_stage_has_a_new_epoch_and_nothing_else_has() -> None:
    assert decided(SHADOW).rollout.epoch == 9
    assert decided(SHADOW, command=Command(Event.PAUSE, "ada")).rollout.epoch == 3
    assert decided(at(1, Phase.PAUSED), command=Command(Event.RESUME, "ada")).rollout.epoch == 3


def test_the_start_is_the_beginning() -> None:
    started = decided(replace(SHADOW, phase=Phase.IDLE, begun=0, epoch=0), Observation(), Command(Event.START, "ada"))
    assert (started.rollout.phase, started.rollout.begun, started.rollout.epoch) == (Phase.SHADOW, 9, 9)
    assert (started.by, started.reason) == ("ada", "asked by ada")


@pytest.mark.parametrize("position", range(PLAN.last))
def test_approval_is_asked_before_the_stage_and_given_by_advancing(position: int) -> None:
    stages = [replace(stage, approval=True) for stage in PLAN.stages]
    plan = replace(PLAN, steps=tuple(stages[1:-1]), bake=stages[-1])
    rollout = replace(at(position), terms=replace(TERMS, plan=plan))
    held = decided(rollout)
    assert (held.event, held.rollout.phase) == (Event.HOLD, Phase.AWAITING_APPROVAL)
    assert (held.rollout.position, held.rollout.epoch) == (position, 3)
    approved = decided(held.rollout, Observation(), Command(Event.CLIMB, "ada"))
    assert (approved.rollout.position, approved.rollout.phase) == (position + 1, PLAN.phase_at(position + 1))


@pytest.mark.parametrize(
    "values", [{"candidate": "40"}, {"position": -1}, {"position": 9}, {"begun": 4}, {"begun": -1}]
)
def test_rollouts_that_cannot_be(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"champion already|no stage|before its beginning"):
        replace(SHADOW, **values)  # type: ignore[arg-type]


def test_an_ended_rollout_has_no_share() -> None:
    assert [at(2, phase).share_bp for phase in (Phase.RAMP, Phase.PAUSED, Phase.ROLLED_BACK)] == [5_000, 5_000, 0]
