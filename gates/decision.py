"""The pure heart of the control plane: what a rollout does next, given what was seen and what people ask."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gates.checks import Budget, Gate
from gates.phases import CARRYING, CLIMBING, Event, next_phase
from gates.plan import Plan, Stage
from gates.verdict import GateResult, failed, undecided
from proxy.snapshot import Phase

CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rollout is judged by, fixed when it starts.

    A configuration that changes under way governs the next rollout: no evidence is judged by a rule made after it was
    seen, and the declared budget holds."""

    plan: Plan
    gates: tuple[Gate, ...]
    budget: Budget


@dataclass(frozen=True, slots=True)
class Rollout:
    """One trial of one candidate. `position` indexes the plan's stages; `begun` is the generation at which the trial
    began, `epoch` the one at which this stage did."""

    id: str
    model: str
    champion: str
    candidate: str
    started_by: str
    terms: Terms
    phase: Phase = Phase.IDLE
    position: int = 0
    begun: int = 0
    epoch: int = 0
    gate: str = ""
    """The gate that ended the rollout, "" where none did."""
    reason: str = ""
    """Why it stands where it does: the reason of the last decision."""

    def __post_init__(self) -> None:
        if self.champion == self.candidate:
            raise ValueError(f"{self.model}: version {self.candidate} is the champion already")
        if not 0 <= self.position <= self.terms.plan.last:
            raise ValueError(f"rollout: the plan has no stage {self.position}")
        if not 0 <= self.begun <= self.epoch:
            raise ValueError(f"rollout: epoch {self.epoch} is before its beginning, {self.begun}")

    @property
    def carrying(self) -> bool:
        """Whether the candidate is alive: it gets copies or requests."""
        return self.phase in CARRYING

    @property
    def stage(self) -> Stage:
        return self.terms.plan.stages[self.position]

    @property
    def share_bp(self) -> int:
        """The candidate's share of the traffic, in basis points; none once the rollout has ended."""
        return self.stage.share_bp if self.carrying else 0


@dataclass(frozen=True, slots=True)
class Observation:
    """What the present stage has shown. `elapsed` is in seconds since every live worker routes by it; `requests` as
    Stage.min_requests counts."""

    elapsed: float = 0.0
    requests: int = 0
    results: tuple[GateResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What a person asks for."""

    event: Event
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """A change: the rollout as it is from now on, and why."""

    rollout: Rollout
    event: Event
    by: str
    reason: str


def decide(rollout: Rollout, seen: Observation, command: Command | None, generation: int) -> Decision | None:
    """The next change, or None where things stay. `generation` is the one that the change would have.

    A rollback comes first: a person's, then a gate's, in every phase that carries candidate traffic. Then a person's
    other wishes, and last the plan's own climb. Raises IllegalEvent where a person asks for what the phase does not
    allow."""
    if command is not None and command.event is Event.ROLL_BACK:
        return _obey(rollout, command, generation)
    if rollout.carrying and (culprit := failed(seen.results)) is not None:
        reason = f"gate {culprit.gate}: {culprit.reason}"
        return _decided(rollout, Event.ROLL_BACK, CONTROLLER, reason, generation, culprit.gate)
    if command is not None:
        return _obey(rollout, command, generation)
    if rollout.phase in CLIMBING and not waiting_for(rollout, seen):
        return _decided(rollout, _climb(rollout), CONTROLLER, _passed(seen), generation)
    return None


def waiting_for(rollout: Rollout, seen: Observation) -> list[str]:
    """What the present stage still lacks before the next one, each in a few words; empty where it is passed.

    A stage that saw no request is never passed, whatever its plan asks for: no data is no verdict."""
    stage = rollout.stage
    wanted = max(stage.min_requests, 1)
    lacking = []
    if seen.elapsed < stage.min_duration:
        lacking.append(f"{math.ceil(stage.min_duration - seen.elapsed)} s of {stage.min_duration:g} s")
    if seen.requests < wanted:
        lacking.append(f"{wanted - seen.requests} of {wanted} requests")
    return lacking + [f"gate {name}" for name in undecided(seen.results)]


def _obey(rollout: Rollout, command: Command, generation: int) -> Decision:
    event = _onward(rollout) if command.event is Event.CLIMB else command.event
    return _decided(rollout, event, command.by, command.reason or f"asked by {command.by}", generation)


def _climb(rollout: Rollout) -> Event:
    """What a passed stage leads to; a person is asked first where the next stage wants approval."""
    event = _onward(rollout)
    if event is not Event.PROMOTE and rollout.terms.plan.stages[rollout.position + 1].approval:
        return Event.HOLD
    return event


def _onward(rollout: Rollout) -> Event:
    """The event that leads from the rollout's stage to the next."""
    last = rollout.terms.plan.last
    if rollout.position == last:
        return Event.PROMOTE
    return Event.BAKE if rollout.position == last - 1 else Event.CLIMB


def _decided(rollout: Rollout, event: Event, by: str, reason: str, generation: int, gate: str = "") -> Decision:
    phase = next_phase(rollout.phase, event, rollout.terms.plan.phase_at(rollout.position))
    after = replace(rollout, phase=phase, gate=gate, reason=reason)
    if event is Event.START:
        after = replace(after, begun=generation, epoch=generation)
    elif event in (Event.CLIMB, Event.BAKE):
        after = replace(after, position=rollout.position + 1, epoch=generation)
    elif event in (Event.PROMOTE, Event.ROLL_BACK):
        after = replace(after, epoch=generation)
    return Decision(after, event, by, reason)


def _passed(seen: Observation) -> str:
    verdicts = ", ".join(f"{result.gate} {result.verdict}" for result in seen.results) or "no gates"
    return f"stage passed after {seen.elapsed:.0f} s and {seen.requests} requests: {verdicts}"
