"""Terms that are changed under way: where the rollout stands then, when its evidence begins anew, and what is left of
its budget."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.decision import Command
from gates.gate import Budget, Gate
from gates.phases import Event, IllegalEvent
from gates.plan import Deadline, Plan, Stage
from gates.rollout import Amendment, Rollout, Terms, amended, told
from proxy.snapshot import AgreementSpec, Phase
from tests.control import GATES, PLAN, TERMS
from tests.gates.test_decision import at, decided

ERRORS = Gate("errors", "error_rate", 0.01)
TAIL = Gate("tail", "latency", 0.2)
STRICTER = replace(TERMS, gates=(replace(GATES[0], limit=0.01), *GATES[1:]))
STEPPING = replace(PLAN, on_fail="step_down")


def under(terms: Terms, by_hand: int | None = None) -> Amendment:
    return Amendment(terms, by_hand)


@pytest.mark.parametrize(
    ("gates", "plan", "parts"),
    [
        ((ERRORS,), PLAN, 5),
        ((ERRORS, TAIL), PLAN, 10),
        ((ERRORS, replace(TAIL, severity="advisory")), PLAN, 5),
        ((ERRORS, replace(TAIL, scope="ramp")), PLAN, 8),
        ((replace(TAIL, scope="bake"),), PLAN, 1),
        ((ERRORS, replace(TAIL, scope="shadow")), STEPPING, 8),
        ((ERRORS,), Plan(Stage(0), (Stage(10_000),), Stage(10_000), on_fail="step_down"), 3),
        ((), PLAN, 0),
    ],
)
def test_one_budget_is_split_over_critical_gates_and_their_stages_and_a_part_is_kept_back(
    gates: tuple[Gate, ...], plan: Plan, parts: int
) -> None:
    rollout = replace(at(0), terms=Terms(plan, gates, Budget(0.02)))
    assert rollout.alarm_alpha == pytest.approx(0.02 / (parts + 1))


@given(st.data())
def test_however_often_the_terms_change_the_budget_is_kept_and_some_is_left(data: st.DataObject) -> None:
    """All that any gate of any terms could spend by chance, added up."""
    rollout, spent = replace(at(0), terms=replace(TERMS, plan=STEPPING)), 0.0
    judged_since = 0
    for generation in range(4, 4 + data.draw(st.integers(1, 12))):
        climbed = data.draw(st.integers(judged_since, STEPPING.last))
        rollout = replace(rollout, position=climbed, phase=STEPPING.phase_at(climbed))
        visits = STEPPING.visited(judged_since, climbed, again=False)
        spent += rollout.alarm_alpha * rollout.terms.parts(visits)
        limit = data.draw(st.sampled_from([0.01, 0.02, 0.03]))
        rollout = amended(rollout, under(replace(rollout.terms, gates=(replace(ERRORS, limit=limit),))), generation)
        if rollout.epoch == generation:
            judged_since = rollout.position
        else:
            spent -= rollout.alarm_alpha * rollout.terms.parts(visits)
        assert rollout.left > 0
    assert spent <= rollout.terms.budget.false_alarm * (1 + 1e-9)


@pytest.mark.parametrize(
    "terms",
    [
        STRICTER,
        replace(TERMS, gates=GATES[:1]),
        replace(TERMS, budget=Budget(0.02)),
        replace(TERMS, agreement=AgreementSpec(relative=0.5)),
        replace(TERMS, plan=PLAN.through(7_000)),
    ],
)
def test_what_judges_otherwise_begins_anew(terms: Terms) -> None:
    before = replace(at(2), overdue=True, advised="climb")
    after = amended(before, under(terms), 9)
    assert (after.epoch, after.position, after.since, after.overdue, after.advised) == (9, 2, 2, False, "")
    assert after.left < before.left
    assert after.phase is before.phase


@pytest.mark.parametrize(
    "limits", [{"deadline": Deadline(60)}, {"max_bad_answers": 5}, {"cool_down": 9.0}, {"dry_run": True}]
)
def test_what_judges_as_before_goes_on(limits: dict[str, object]) -> None:
    plan = replace(PLAN, **limits)  # type: ignore[arg-type]
    slower = replace(plan, steps=tuple(replace(step, min_duration=99) for step in plan.steps))
    for changed in (plan, slower):
        after = amended(at(2), under(replace(TERMS, plan=changed)), 9)
        assert after == replace(at(2), terms=replace(TERMS, plan=changed))


@pytest.mark.parametrize(
    ("shares", "position", "stands_at"),
    [
        ((500, 5_000), 2, 5_000),
        ((500, 4_000, 6_000), 2, 4_000),
        ((6_000,), 2, 0),
        ((100, 500), 0, 0),
        ((100, 500), 3, 10_000),
    ],
)
def test_another_plan_never_raises_what_the_candidate_serves(
    shares: tuple[int, ...], position: int, stands_at: int
) -> None:
    plan = replace(PLAN, steps=(*map(Stage, shares), PLAN.steps[-1]))
    after = amended(at(position), under(replace(TERMS, plan=plan)), 9)
    assert after.stage.share_bp == stands_at
    assert after.terms.plan.phase_at(after.position) is not Phase.BAKE


def test_a_bake_stays_a_bake() -> None:
    plan = replace(PLAN, steps=PLAN.steps[-1:])
    assert amended(at(PLAN.last), under(replace(TERMS, plan=plan)), 9).position == plan.last


@pytest.mark.parametrize("phase", [Phase.SHADOW, Phase.RAMP, Phase.BAKE, Phase.AWAITING_APPROVAL, Phase.PAUSED])
@pytest.mark.parametrize("share", [0, 700, 10_000])
def test_a_share_set_by_hand_is_in_force_at_once_and_held(phase: Phase, share: int) -> None:
    positions = {Phase.SHADOW: 0, Phase.BAKE: PLAN.last}
    by_hand = under(replace(TERMS, plan=PLAN.through(share)), share)
    decision = decided(at(positions.get(phase, 2), phase), command=Command(Event.SET_SHARE, "file", "", by_hand))
    after = decision.rollout
    assert (after.phase, after.share_bp, after.by_hand) == (Phase.PAUSED, share, share)
    assert after.epoch == (3 if (phase, share) == (Phase.SHADOW, 0) else 9)
    resumed = decided(after, command=Command(Event.RESUME, "ada")).rollout
    assert resumed.phase is after.terms.plan.phase_at(after.position)
    assert resumed.share_bp == share


def test_a_share_that_is_no_longer_set_by_hand_gives_way_to_the_plan() -> None:
    held = replace(at(2, Phase.PAUSED), terms=replace(TERMS, plan=PLAN.through(700)), by_hand=700)
    after = decided(held, command=Command(Event.RESUME, "file", "", under(TERMS))).rollout
    assert (after.phase, after.share_bp, after.by_hand, after.terms) == (Phase.RAMP, 500, None, TERMS)


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.PROMOTED, Phase.ROLLED_BACK])
@pytest.mark.parametrize("event", [Event.AMEND, Event.SET_SHARE])
def test_what_is_not_under_way_is_not_amended(phase: Phase, event: Event) -> None:
    with pytest.raises(IllegalEvent):
        decided(replace(at(1), phase=phase), command=Command(event, "file", "", under(STRICTER)))


def test_what_changed_is_told() -> None:
    gates = (replace(GATES[0], limit=0.01), Gate("fresh", "error_rate", 0.5))
    changed = replace(TERMS, gates=gates, budget=Budget(0.02), plan=PLAN.through(700))
    assert told(at(1), under(changed, 700)) == (
        "the configuration changed gate agreement (gone), gate errors (another), gate fresh (new), gate p99 (gone), "
        "the plan, the budget, the share to 7 %, by hand"
    )
    assert told(replace(at(1), by_hand=700), under(TERMS)).endswith("changed the share to that of the plan")
    assert told(at(1), under(replace(TERMS, gates=GATES[::-1]))).endswith("changed the order of the gates")


@pytest.mark.parametrize("values", [{"left": 0.0}, {"left": 1.1}, {"since": 9}, {"since": -1}])
def test_rollouts_that_cannot_be(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="rollout:"):
        replace(at(1), **values)  # type: ignore[arg-type]


def test_the_same_terms_change_nothing() -> None:
    rollout: Rollout = at(1)
    assert not under(TERMS).changes(rollout)
    assert under(STRICTER).changes(rollout)
    assert under(TERMS, 500).changes(rollout)
