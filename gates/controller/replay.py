"""A rollout's record, run again: exactly, and under other gates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gates.checks import GateWatch, look
from gates.controller.record import Inputs, decode_inputs
from gates.controller.watch import judged
from gates.decision import Decision, decide, waiting_for
from gates.gate import Gate
from gates.health import champion_health
from gates.phases import Event, IllegalEvent
from gates.rollout import Rollout
from gates.state import AuditRow


@dataclass(frozen=True, slots=True)
class Replayed:
    """A decision on record, and where making it again leads elsewhere: nowhere, if the record is true."""

    row: AuditRow
    differences: tuple[str, ...]
    inputs: Inputs | None


@dataclass(frozen=True, slots=True)
class Instead:
    """What other gates would have done with a decision's inputs. `event` is None where they would have waited, and
    `reason` is then what for."""

    row: AuditRow
    inputs: Inputs
    event: Event | None
    reason: str

    @property
    def same(self) -> bool:
        return self.event == self.row.event


def replay(rows: Iterable[AuditRow]) -> Iterator[Replayed]:
    """Make each decision of one rollout again, oldest first, from the inputs that stand beside it.

    Each must come out as it was made, and begin where the one before it left the rollout."""
    before: Rollout | None = None
    for row in rows:
        try:
            inputs = decode_inputs(row.inputs)
            decision = inputs.decide()
        except (ValueError, IllegalEvent) as error:
            yield Replayed(row, (f"it cannot be made again: {error}",), None)
            before = None
            continue
        yield Replayed(row, tuple(_differences(row, inputs, decision, before)), inputs)
        before = None if decision is None else decision.rollout


def under(gates: Sequence[Gate], replayed: Iterable[Replayed]) -> Iterator[Instead]:
    """What `gates` would have done in place of the rollout's own, decision by decision.

    The counts stand beside each decision, and nowhere else: gates that would have acted between two decisions are seen
    to do so at the second. It ends with the first decision that is another, for what would have come after it was
    never seen."""
    watches: tuple[GateWatch, ...] = ()
    epoch = -1
    for each in replayed:
        if each.inputs is None or not each.inputs.rollout.carrying:
            continue
        if each.inputs.rollout.epoch != epoch:
            watches, epoch = (), each.inputs.rollout.epoch
        watches = look(
            _judging(each.inputs, gates).terms.gates_at(each.inputs.rollout.position), watches, each.inputs.window
        )
        instead = _decided(each.row, each.inputs, gates, watches)
        yield instead
        if not instead.same:
            return


def _differences(row: AuditRow, inputs: Inputs, decision: Decision | None, before: Rollout | None) -> Iterator[str]:
    if before is not None and inputs.rollout != before:
        yield "it does not begin where the decision before it ended"
    if decision is None:
        yield f"{row.event} is on record, and these inputs lead to no decision"
        return
    after = decision.rollout
    made = (inputs.generation, after.model, after.id, decision.event, decision.by, decision.reason, after.phase)
    on_record = (row.generation, row.model, row.rollout, row.event, row.by, row.reason, row.phase)
    names = ("generation", "model", "rollout", "event", "by", "reason", "phase")
    for name, now, then in zip((*names, "position"), (*made, after.position), (*on_record, row.position), strict=True):
        if now != then:
            yield f"{name}: {then} is on record, {now} comes out"
    # What nobody judged (a rollout's start, an end by the configuration) has no results to compare.
    judged_then = inputs.observation.results
    if judged_then and (judged_now := inputs.judge()) != judged_then:
        then, now = ("; ".join(f"{r.gate} {r.verdict}, {r.reason}" for r in some) for some in (judged_then, judged_now))
        yield f"gates: {then} is on record, {now} comes out"


def _judging(inputs: Inputs, gates: Sequence[Gate]) -> Rollout:
    """The rollout as it was, with other gates."""
    return replace(inputs.rollout, terms=replace(inputs.rollout.terms, gates=tuple(gates)))


def _decided(row: AuditRow, inputs: Inputs, gates: Sequence[Gate], watches: tuple[GateWatch, ...]) -> Instead:
    rollout = _judging(inputs, gates)
    seen = replace(
        inputs.observation,
        results=judged(rollout, watches, inputs.window),
        champion=champion_health(rollout.terms.gates, inputs.window, rollout.terms.budget),
    )
    decision = decide(rollout, seen, inputs.command, inputs.generation)
    if decision is None:
        return Instead(row, inputs, None, f"waiting for {', '.join(waiting_for(rollout, seen))}")
    return Instead(row, inputs, decision.event, decision.reason)
