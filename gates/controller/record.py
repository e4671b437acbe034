"""What is written down of a decision: the commit, and in it the inputs from which the decision can be made again."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from gates.checks import GateWatch
from gates.controller.outbox import errands_of
from gates.controller.routes import snapshot_of
from gates.controller.standing import Standing
from gates.controller.watch import judged
from gates.decision import Command, Decision, Observation, decide
from gates.phases import Event
from gates.rollout import Rollout
from gates.settings import Settings
from gates.state import AuditRow, Commit, Serving
from gates.verdict import GateResult
from proxy.window import Window


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that one decision was made from; the rollout, as it was before, brings its plan, gates and budget.

    What the gates said stands in the observation; `window` and `evidence`, the stage's counts and what the gates'
    watches had made of them, are what they said it by."""

    rollout: Rollout
    observation: Observation
    command: Command | None
    generation: int
    window: Window = field(default_factory=Window)
    evidence: tuple[GateWatch, ...] = ()

    def decide(self) -> Decision | None:
        """The decision that these inputs lead to, today as then. Raises IllegalEvent."""
        return decide(self.rollout, self.observation, self.command, self.generation)

    def judge(self) -> tuple[GateResult, ...]:
        """What the gates say to these counts, today as then."""
        return judged(self.rollout, self.evidence, self.window)


def encode_inputs(inputs: Inputs) -> str:
    return msgspec.json.encode(inputs).decode()


def decode_inputs(raw: str) -> Inputs:
    """Raises ValueError for an audit row's inputs that are not those of a decision (a "configure" row's)."""
    return msgspec.json.decode(raw, type=Inputs)


def commit_of(
    settings: Settings, standing: Standing, decision: Decision, inputs: Inputs, at: float, registered: bool
) -> Commit:
    """The commit that makes `decision`; `at` is wall time, and `registered` tells whether there is a registry to be
    told. Raises Unroutable."""
    after = decision.rollout
    serving = _promoted(standing.servings[after.model], decision, inputs.generation)
    servings = {**standing.servings, after.model: serving}
    rollouts = {**standing.rollouts, after.model: after}
    return Commit(
        snapshot=snapshot_of(settings, servings, rollouts, inputs.generation),
        audit=(audit_of(decision, inputs, at),),
        rollouts=(after,),
        servings=(serving,),
        errands=errands_of(decision, at) if registered else (),
    )


def audit_of(decision: Decision, inputs: Inputs, at: float) -> AuditRow:
    after = decision.rollout
    return AuditRow(
        generation=inputs.generation,
        at=at,
        model=after.model,
        rollout=after.id,
        event=decision.event,
        by=decision.by,
        reason=decision.reason,
        phase=after.phase,
        position=after.position,
        inputs=encode_inputs(inputs),
    )


def _promoted(serving: Serving, decision: Decision, generation: int) -> Serving:
    """Who serves after the decision: from its promotion on, the candidate."""
    if decision.event is not Event.PROMOTE:
        return serving
    return serving.moved(decision.rollout.candidate, generation)
