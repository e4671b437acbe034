from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gates.decision import CONTROLLER, Command, Decision, MovedOn, Observation, decide, waiting_for
from gates.health import Health
from gates.phases import CARRYING, CLIMBING, ENDED, TRANSITIONS, Event, IllegalEvent
from gates.plan import Deadline, Plan
from gates.rollout import Rollout
from gates.verdict import GateResult, Verdict
from proxy.snapshot import Phase
from tests.control import PLAN, TERMS
from tests.gates.test_verdict import result, results

SHADOW = Rollout("r1", "m", "40", "42", "ada", TERMS, Phase.SHADOW, begun=3, epoch=3)
PASSED = (result(Verdict.PASS),)
ENOUGH = Observation(elapsed=1e6, requests=10**6, results=PASSED)

positions = st.integers(0, PLAN.last)
commands = st.none() | st.builds(Command, st.sampled_from(Event), st.just("ada"), st.sampled_from(["", "why"]))
observations = st.builds(
    Observation,
    st.floats(0, 60),
    st.integers(0, 300),
    results.map(tuple),
    age=st.floats(0, 60),
    bad_answers=st.integers(0, 30),
)
plans = st.builds(
    replace,
    st.just(PLAN),
    on_fail=st.sampled_from(["roll_back", "step_down"]),
    max_bad_answers=st.none() | st.integers(1, 30),
    deadline=st.none() | st.builds(Deadline, st.floats(1, 60), st.sampled_from(["alert", "roll_back"])),
    dry_run=st.booleans(),
)


@st.composite
def rollouts(draw: st.DrawFn) -> Rollout:
    """In any phase and at any position that go together."""
    phase = draw(st.sampled_from(Phase))
    position = draw(positions)
    assume(phase not in CLIMBING or PLAN.phase_at(position) is phase)
    return replace(SHADOW, phase=phase, position=position, epoch=7)


@st.composite
def under_any_plan(draw: st.DrawFn) -> Rollout:
    rollout = draw(rollouts())
    advised = draw(st.sampled_from(["", *Event]))
    terms = replace(TERMS, plan=draw(plans))
    return replace(rollout, terms=terms, stepped_down=draw(st.booleans()), overdue=draw(st.booleans()), advised=advised)


def under(rollout: Rollout, **limits: object) -> Rollout:
    """The rollout under a plan with these limits."""
    plan = replace(rollout.terms.plan, **limits)  # type: ignore[arg-type]
    return replace(rollout, terms=replace(rollout.terms, plan=plan))


def at(position: int, phase: Phase | None = None) -> Rollout:
    return replace(SHADOW, position=position, phase=phase or PLAN.phase_at(position))


def decided(rollout: Rollout, seen: Observation = ENOUGH, command: Command | None = None) -> Decision:
    decision = decide(rollout, seen, command, 9)
    assert decision is not None
    return decision


@given(under_any_plan(), observations, commands)
@example(replace(SHADOW, phase=Phase.AWAITING_APPROVAL, position=PLAN.last), ENOUGH, Command(Event.BAKE, "ada"))
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


@pytest.mark.parametrize("position", range(1, PLAN.last))
def test_a_wish_to_go_on_leads_to_the_next_stage_whatever_it_is_called(position: int) -> None:
    went = decided(at(position), Observation(), Command(Event.BAKE, "ada")).rollout
    assert (went.position, went.phase) == (position + 1, PLAN.phase_at(position + 1))


@pytest.mark.parametrize("event", [Event.CLIMB, Event.PROMOTE])
def test_a_wish_is_of_the_stage_that_it_was_made_for(event: Event) -> None:
    """Two people approve, or one asks again what was done: the second wish is of a stage that is over."""
    meant = Command(event, "ada", epoch=SHADOW.epoch)
    assert decided(SHADOW, command=meant).event is event
    with pytest.raises(MovedOn, match=r"is in phase ramp, at 5 %, by now") as refused:
        decide(replace(at(1), epoch=9), ENOUGH, meant, 10)
    assert "nothing was changed" in str(refused.value)


@pytest.mark.parametrize("phase", CARRYING)
def test_an_approval_is_of_what_waits_for_one(phase: Phase) -> None:
    rollout, approval = replace(SHADOW, phase=phase), Command(Event.CLIMB, "ada", approving=True)
    if phase is Phase.AWAITING_APPROVAL:
        assert decided(rollout, command=approval).rollout.position == 1
        return
    with pytest.raises(MovedOn, match="waits for no approval"):
        decide(rollout, ENOUGH, approval, 9)


@given(rollouts(), st.integers(0, 9), st.booleans())
def test_a_gates_rollback_comes_before_a_wish_that_is_too_late(rollout: Rollout, epoch: int, approving: bool) -> None:
    assume(rollout.carrying)
    late = Command(Event.CLIMB, "ada", epoch=epoch, approving=approving)
    assert decided(rollout, FAILING, late).event is Event.ROLL_BACK


@pytest.mark.parametrize("event", [Event.CLIMB, Event.BAKE])
@pytest.mark.parametrize("phase", CARRYING)
def test_to_go_on_is_no_promotion(phase: Phase, event: Event) -> None:
    """A person's promotion is held to the production gates: to advance out of the bake would go round them."""
    with pytest.raises(IllegalEvent):
        decide(at(PLAN.last, phase), ENOUGH, Command(event, "ada"), 9)


@pytest.mark.parametrize(
    "values", [{"candidate": "40"}, {"position": -1}, {"position": 9}, {"begun": 4}, {"begun": -1}]
)
def test_rollouts_that_cannot_be(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"champion already|no stage|before its beginning"):
        replace(SHADOW, **values)  # type: ignore[arg-type]


def test_an_ended_rollout_has_no_share() -> None:
    assert [at(2, phase).share_bp for phase in (Phase.RAMP, Phase.PAUSED, Phase.ROLLED_BACK)] == [5_000, 5_000, 0]


FAILING = Observation(elapsed=5, results=(result(Verdict.FAIL, gate="errors"),))


@pytest.mark.parametrize("phase", CARRYING)
def test_the_cap_on_bad_answers_rolls_back_while_no_gate_can_tell(phase: Phase) -> None:
    capped = under(replace(SHADOW, phase=phase), max_bad_answers=20)
    seen = Observation(results=(result(Verdict.INSUFFICIENT),), bad_answers=19)
    assert decide(capped, seen, None, 9) is None
    decision = decided(capped, replace(seen, bad_answers=20))
    assert (decision.event, decision.by, decision.rollout.gate) == (Event.ROLL_BACK, CONTROLLER, "")
    assert decision.reason.startswith("blast radius: the candidate failed 20 requests of clients")


def test_one_step_down_and_then_the_end() -> None:
    first = decided(under(at(3), on_fail="step_down"), FAILING)
    assert (first.event, first.rollout.phase, first.rollout.position) == (Event.STEP_DOWN, Phase.RAMP, 2)
    assert (first.rollout.epoch, first.rollout.stepped_down, first.rollout.gate) == (9, True, "errors")
    assert decided(first.rollout, FAILING).event is Event.ROLL_BACK
    again = decided(first.rollout, ENOUGH)
    assert (again.event, again.rollout.position) == (Event.CLIMB, 3)
    assert decided(again.rollout, FAILING).event is Event.ROLL_BACK


@pytest.mark.parametrize(
    "rollout",
    [at(0), at(1), at(4), at(2, Phase.PAUSED), at(2, Phase.AWAITING_APPROVAL), replace(at(2), stepped_down=True)],
)
def test_where_there_is_no_step_down_a_failing_gate_rolls_back(rollout: Rollout) -> None:
    assert decided(under(rollout, on_fail="step_down"), FAILING).event is Event.ROLL_BACK


def test_the_cap_allows_no_step_down() -> None:
    rollout = under(at(2), on_fail="step_down", max_bad_answers=3)
    assert decided(rollout, replace(FAILING, bad_answers=3)).event is Event.ROLL_BACK


def test_a_stage_past_its_deadline_is_told_once() -> None:
    rollout = under(at(1), deadline=Deadline(60))
    late = Observation(30, 1000, PASSED, age=60)
    held = replace(late, results=(result(Verdict.INSUFFICIENT, gate="p99"),))
    assert decide(rollout, replace(held, age=59), None, 9) is None
    alert = decided(rollout, held)
    assert (alert.event, alert.rollout.phase, alert.rollout.epoch) == (Event.OVERDUE, Phase.RAMP, 3)
    assert alert.reason == "the stage is not passed after 1 min, its deadline; it lacks gate p99"
    assert decide(alert.rollout, held, None, 10) is None
    assert decided(rollout, late).event is Event.CLIMB, "what is passed is not late"
    assert not decided(alert.rollout, late).rollout.overdue


def test_a_deadline_may_be_the_end() -> None:
    rollout = under(at(1), deadline=Deadline(60, "roll_back"))
    decision = decided(rollout, Observation(age=61))
    assert (decision.event, decision.rollout.gate) == (Event.ROLL_BACK, "")
    assert decide(replace(rollout, phase=Phase.PAUSED), Observation(age=61), None, 9) is None


@given(under_any_plan(), observations)
def test_a_dry_run_moves_nothing_by_itself(rollout: Rollout, seen: Observation) -> None:
    rehearsed = under(rollout, dry_run=True)
    decision = decide(rehearsed, seen, None, 9)
    if decision is None:
        return
    assert decision.event in (Event.ADVISE, Event.OVERDUE)
    after = decision.rollout
    assert (after.phase, after.position, after.epoch) == (rollout.phase, rollout.position, rollout.epoch)
    assert decide(after, seen, None, 10) is None, "the same is not said twice"


def test_a_dry_run_says_what_it_would_do_and_people_act() -> None:
    rehearsed = under(at(2), dry_run=True)
    advice = decided(rehearsed, FAILING)
    assert (advice.event, advice.rollout.advised) == (Event.ADVISE, "roll_back")
    assert advice.reason.startswith("dry run: would roll back: gate errors: because")
    changed = decided(advice.rollout)
    assert changed.rollout.advised == "climb"
    assert decided(advice.rollout, FAILING, Command(Event.CLIMB, "ada")).rollout.position == 3
    assert decided(advice.rollout, FAILING, Command(Event.ROLL_BACK, "ada")).rollout.phase is Phase.ROLLED_BACK


@pytest.mark.parametrize(
    ("health", "told"),
    [
        (Health(0, 0, Verdict.INSUFFICIENT), "the champion has answered nothing in this stage, and may be cold"),
        (Health(10, 1, Verdict.INSUFFICIENT), "the champion: 1 failed of 10"),
        (Health(5000, 1, Verdict.PASS), "the champion is well: 1 failed of 5000"),
        (Health(100, 60, Verdict.FAIL), "the champion fails as well: 60 failed of 100"),
    ],
)
def test_a_retreat_tells_how_the_champion_is_and_goes_on_all_the_same(health: Health, told: str) -> None:
    decision = decided(at(1), replace(FAILING, champion=health))
    assert (decision.event, decision.reason) == (Event.ROLL_BACK, f"gate errors: because; {told}")
