"""What the registry is told of a decision: written down with it, carried later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from gates.decision import Decision
from gates.durations import duration
from gates.gate import terms_of
from gates.phases import Event
from gates.ports import RolloutFacts
from gates.rollout import Rollout, Terms
from gates.state import Errand
from proxy.snapshot import BASIS_POINTS

Outcome = Literal["promoted", "rolled_back"]


@dataclass(frozen=True, slots=True)
class Begin:
    """The body of a "begin"; `at` is wall time."""

    facts: RolloutFacts
    parameters: dict[str, str]
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Finish:
    """The body of a "finish"; the decisions are read from the audit history when it is carried."""

    facts: RolloutFacts
    outcome: Outcome
    by: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Revert:
    """The body of a "revert": the version `facts.champion` serves again, in place of `facts.candidate`."""

    facts: RolloutFacts
    by: str
    reason: str
    at: float


def errands_of(decision: Decision, at: float) -> tuple[tuple[str, str], ...]:
    """(kind, body) of what the registry is told of a decision, to be stored with it; `at` is wall time."""
    after = decision.rollout
    match decision.event:
        case Event.START:
            begin = Begin(facts_of(after), _parameters(after.terms), decision.by, at)
            return (("begin", msgspec.json.encode(begin).decode()),)
        case Event.PROMOTE | Event.ROLL_BACK:
            outcome: Outcome = "promoted" if decision.event is Event.PROMOTE else "rolled_back"
            finish = Finish(facts_of(after), outcome, decision.by, decision.reason, at)
            return (("finish", msgspec.json.encode(finish).decode()),)
        case _:
            return ()


_BODIES: Mapping[str, type[Begin | Finish | Revert]] = {"begin": Begin, "finish": Finish, "revert": Revert}


def body_of(errand: Errand) -> Begin | Finish | Revert:
    """Raises ValueError for a body that is none of ours."""
    if errand.kind not in _BODIES:
        raise ValueError(f"an errand of kind {errand.kind!r} is none of ours")
    return msgspec.json.decode(errand.body, type=_BODIES[errand.kind])


def facts_of(rollout: Rollout) -> RolloutFacts:
    return RolloutFacts(rollout.id, rollout.model, rollout.champion, rollout.candidate)


def _parameters(terms: Terms) -> dict[str, str]:
    """The terms in words, as parameters of the rollout's run."""
    plan, budget = terms.plan, terms.budget
    stages = {
        f"plan/{position}_{plan.phase_at(position)}": (
            f"{stage.share_bp * 100 / BASIS_POINTS:g} %, {duration(stage.min_duration)}, {stage.min_requests} requests"
            + (", approval" if stage.approval else "")
        )
        for position, stage in enumerate(plan.stages)
    }
    limits = {
        "plan/on_fail": plan.on_fail,
        "plan/max_bad_answers": plan.max_bad_answers,
        "plan/deadline": plan.deadline and f"{duration(plan.deadline.after)}, then {plan.deadline.then}",
        "plan/dry_run": plan.dry_run or None,
    }
    gates = {f"gate/{gate.name}": f"{gate.severity}: {terms_of(gate)}" for gate in terms.gates}
    return {
        **stages,
        **{name: str(limit) for name, limit in limits.items() if limit is not None},
        **gates,
        "budget/false_alarm": f"{budget.false_alarm:g}",
        "budget/false_pass": f"{budget.false_pass:g}",
    }
