"""Gates over what no window holds: what each verdict does in each stage."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.decision import Observation, decide, waiting_for
from gates.gate import Scope
from gates.outside import OutsideGate
from gates.phases import CARRYING, Event
from gates.rollout import Amendment, amended, told
from gates.verdict import Verdict
from proxy.snapshot import Phase
from tests.control import PLAN, TERMS
from tests.gates.test_decision import ENOUGH, SHADOW, at
from tests.gates.test_verdict import result

STAGES = {Phase.SHADOW: 0, Phase.RAMP: 1, Phase.BAKE: PLAN.last}
scopes: st.SearchStrategy[Scope | None] = st.sampled_from([None, "shadow", "ramp", "bake", "all"])


def gate(watches: Scope | None = None, holds: Scope | None = None) -> OutsideGate:
    return OutsideGate("loss", "critical", "loss at most 2", watches, holds)


@given(scopes, scopes, st.sampled_from(sorted(STAGES)), st.sampled_from(Verdict))
def test_it_ends_where_it_watches_and_keeps_where_it_holds(
    watches: Scope | None, holds: Scope | None, phase: Phase, verdict: Verdict
) -> None:
    if watches is None and holds is None:
        return
    terms = replace(TERMS, outside=(gate(watches, holds),))
    rollout = replace(at(STAGES[phase]), terms=terms)
    seen = replace(ENOUGH, outside=(result(verdict, gate="loss"),))
    decision = decide(rollout, seen, None, 9)
    if verdict is Verdict.FAIL and watches in ("all", phase):
        assert decision is not None
        assert (decision.event, decision.rollout.gate) == (Event.ROLL_BACK, "loss")
    elif verdict is not Verdict.PASS and holds in ("all", phase):
        assert decision is None
        assert waiting_for(rollout, seen) == ["gate loss"]
    else:
        assert decision is not None
        assert decision.event is not Event.ROLL_BACK
        assert f"loss {verdict}" in decision.reason


@pytest.mark.parametrize("phase", sorted(set(CARRYING) - STAGES.keys()))
def test_while_a_person_is_waited_for_it_goes_on_watching(phase: Phase) -> None:
    rollout = replace(at(1, phase), terms=replace(TERMS, outside=(gate("ramp"),)))
    decision = decide(rollout, Observation(outside=(result(Verdict.FAIL, gate="loss"),)), None, 9)
    assert decision is not None
    assert decision.event is Event.ROLL_BACK


def test_it_is_looked_for_where_it_does_something() -> None:
    terms = replace(TERMS, outside=(gate("ramp"), replace(gate(holds="bake"), name="reviews")))
    found = [[each.name for each in terms.outside_at(position)] for position in (0, 1, PLAN.last)]
    assert found == [[], ["loss"], ["reviews"]]


def test_another_rule_is_told_and_leaves_evidence_and_budget_alone() -> None:
    before = replace(SHADOW, terms=replace(TERMS, outside=(gate("all"),)))
    terms = replace(TERMS, outside=(replace(gate("all"), asked="loss at most 1"), replace(gate("all"), name="cost")))
    amendment = Amendment(terms)
    assert amendment.changes(before)
    assert told(before, amendment) == "the configuration changed gate cost (new), gate loss (another)"
    after = amended(before, amendment, 9)
    assert (after.epoch, after.left, after.alarm_alpha) == (before.epoch, 1.0, before.alarm_alpha)


def test_one_that_does_nothing_cannot_be() -> None:
    with pytest.raises(ValueError, match="neither watches nor holds"):
        gate()
    with pytest.raises(ValueError, match="name is empty"):
        replace(gate("all"), name="")
