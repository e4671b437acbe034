"""The pure heart of the control plane: what a rollout does next, given what was seen and what people ask."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gates.phases import CARRYING, CLIMBING, Event, next_phase
from gates.plan import Plan
from gates.verdict import GateResult, failed, undecided
from proxy.snapshot import Phase

CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class Rollout:
    """One trial of one candidate. `position` indexes the plan's stages; `epoch` is the generation at which this stage
    began."""

    id: str
    model: str
    champion: str
    candidate: str
    started_by: str
    phase: Phase = Phase.IDLE
    position: int = 0
    epoch: int = 0
    gate: str = ""
    """The gate that ended the rollout, "" where none did."""

    def __post_init__(self) -> None:
        if self.champion == self.candidate:
            raise ValueError(f"{self.model}: version {self.candidate} is the champion already")
        if self.position < 0 or self.epoch < 0:
            raise ValueError("rollout: position and epoch must not be negative")

    @property
    def carrying(self) -> bool:
        """Whether the candidate is alive: it gets copies or requests."""
        return self.phase in CARRYING


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


def decide(
    rollout: Rollout, plan: Plan, seen: Observation, command: Command | None, generation: int
) -> Decision | None:
    """The next change, or None where things stay. `generation` is the one that the change would have.

    A rollback comes first: a person's, then a gate's, in every phase that carries candidate traffic. Then a person's
    other wishes, and last the plan's own climb. Raises IllegalEvent where a person asks for what the phase does not
    allow."""
    if command is not None and command.event is Event.ROLL_BACK:
        return _obey(rollout, plan, command, generation)
    if rollout.carrying and (culprit := failed(seen.results)) is not None:
        ended = replace(_moved(rollout, plan, Event.ROLL_BACK, generation), gate=culprit.gate)
        return Decision(ended, Event.ROLL_BACK, CONTROLLER, f"gate {culprit.gate}: {culprit.reason}")
    if command is not None:
        return _obey(rollout, plan, command, generation)
    if rollout.phase in CLIMBING and not waiting_for(rollout, plan, seen):
        event = _onward(rollout, plan)
        if event is not Event.PROMOTE and plan.stages[rollout.position + 1].approval:
            event = Event.HOLD
        return Decision(_moved(rollout, plan, event, generation), event, CONTROLLER, _passed(seen))
    return None


def waiting_for(rollout: Rollout, plan: Plan, seen: Observation) -> list[str]:
    """What the present stage still lacks before the next one, each in a few words; empty where it is passed."""
    stage = plan.stages[rollout.position]
    lacking = []
    if seen.elapsed < stage.min_duration:
        lacking.append(f"{stage.min_duration - seen.elapsed:.0f} s of {stage.min_duration:.0f} s")
    if seen.requests < stage.min_requests:
        lacking.append(f"{stage.min_requests - seen.requests} of {stage.min_requests} requests")
    return lacking + [f"gate {name}" for name in undecided(seen.results)]


def _obey(rollout: Rollout, plan: Plan, command: Command, generation: int) -> Decision:
    event = _onward(rollout, plan) if command.event is Event.CLIMB else command.event
    reason = command.reason or f"asked by {command.by}"
    return Decision(_moved(rollout, plan, event, generation), event, command.by, reason)


def _onward(rollout: Rollout, plan: Plan) -> Event:
    """The event that leads from the rollout's stage to the next."""
    if rollout.position == plan.last:
        return Event.PROMOTE
    return Event.BAKE if rollout.position == plan.last - 1 else Event.CLIMB


def _moved(rollout: Rollout, plan: Plan, event: Event, generation: int) -> Rollout:
    phase = next_phase(rollout.phase, event, plan.phase_at(rollout.position))
    if event in (Event.CLIMB, Event.BAKE):
        return replace(rollout, phase=phase, position=rollout.position + 1, epoch=generation)
    if event in (Event.START, Event.PROMOTE, Event.ROLL_BACK):
        return replace(rollout, phase=phase, epoch=generation)
    return replace(rollout, phase=phase)


def _passed(seen: Observation) -> str:
    verdicts = ", ".join(f"{result.gate} {result.verdict}" for result in seen.results) or "no gates"
    return f"stage passed after {seen.elapsed:.0f} s and {seen.requests} requests: {verdicts}"
