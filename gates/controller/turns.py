"""From the audit trail to what outcomes and production gates ask of it: who served when, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gates.controller.record import Inputs, decode_inputs
from gates.decision import Decision, unasked
from gates.phases import CARRYING, Event, IllegalEvent
from gates.ports import StoreError
from gates.promotion.outcomes import Turn
from gates.promotion.production import ProductionFacts
from gates.state import AuditRow
from proxy.snapshot import Phase


@dataclass(frozen=True, slots=True)
class Step:
    """A decision on record: what it was made from, and what came of it."""

    row: AuditRow
    inputs: Inputs
    decision: Decision


def steps_of(rows: Iterable[AuditRow]) -> Iterator[Step]:
    """The decisions among a model's audit rows, made again from their record, in the order of the rows.

    Raises StoreError for one that cannot be made again: what is guessed about it would be wrong."""
    for row in rows:
        if not row.rollout:
            continue
        try:
            inputs = decode_inputs(row.inputs)
            decision = inputs.decide()
        except (ValueError, IllegalEvent) as error:
            cause = f"the record of generation {row.generation} of {row.model} cannot be read: {error}"
            raise StoreError(cause) from None
        if decision is not None:
            yield Step(row, inputs, decision)


def turns_of(steps: Iterable[Step]) -> list[Turn]:
    """Each change of the split, oldest first; decisions that change no share begin no turn."""
    turns: list[Turn] = []
    for step in steps:
        after = step.decision.rollout
        rollout = after.id if after.phase in CARRYING else ""
        turn = Turn(step.row.at, rollout, after.champion, after.candidate, after.share_bp)
        if not turns or (turns[-1].rollout, turns[-1].share_bp) != (turn.rollout, turn.share_bp):
            turns.append(turn)
    return turns


def facts_of(steps: Iterable[Step], candidate: str, shadow_now: float | None) -> ProductionFacts:
    """Of the candidate's newest rollout, without its outcomes and approvals. `shadow_now` are the seconds in shadow so
    far, of a rollout that is there now."""
    mine = [step for step in steps if step.decision.rollout.candidate == candidate]
    if not mine:
        return ProductionFacts()
    newest = mine[-1].decision.rollout.id
    mine = [step for step in mine if step.decision.rollout.id == newest]
    left = next((step for step in mine if _leaves_shadow(step)), None)
    seconds = left.inputs.observation.elapsed if left is not None else shadow_now or 0.0
    violations = tuple(step.row.reason for step in mine if _breaks_a_limit(step))
    return ProductionFacts(newest, seconds, left is not None, violations)


def _leaves_shadow(step: Step) -> bool:
    """For the ramp, by itself or by a person's word; a rollback does not pass shadow."""
    onward = step.decision.event in (Event.CLIMB, Event.HOLD, Event.PROMOTE)
    return onward and step.inputs.rollout.phase is Phase.SHADOW


def _breaks_a_limit(step: Step) -> bool:
    """What the controller itself took back, and what was late."""
    event = step.decision.event
    if event in (Event.STEP_DOWN, Event.OVERDUE):
        return True
    return event is Event.ROLL_BACK and unasked(step.row.by)
