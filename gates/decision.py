"""The pure heart of the control plane: what a rollout does next, given what was seen and what people ask."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from gates.durations import duration
from gates.health import UNSEEN, Health
from gates.outside import OutsideGate
from gates.phases import CLIMBING, RETREATS, Event, IllegalEvent, next_phase
from gates.rollout import Amendment, Rollout, amended
from gates.verdict import GateResult, failed, undecided
from proxy.snapshot import Phase

CONTROLLER = "controller"
_GATE = "gate "


def by_gate(name: str) -> str:
    """Who has done what a gate brings about after the rollout."""
    return f"{_GATE}{name}"


def unasked(by: str) -> bool:
    """Whether nobody asked for it: the controller did it, or a gate."""
    return by == CONTROLLER or by.startswith(_GATE)


@dataclass(frozen=True, slots=True)
class Observation:
    """What the present stage has shown. `elapsed` is in seconds since every live worker routes by it; `requests` as
    Stage.min_requests counts. `results` is what the gates over its windows say, `outside` what was heard of the others.

    `age` is in seconds since the stage began, whether workers were there or not, but for those in which a person was
    waited for. `bad_answers` are the clients' requests that the candidate failed in the whole rollout, those included
    in which the champion stepped in."""

    elapsed: float = 0.0
    requests: int = 0
    results: tuple[GateResult, ...] = ()
    outside: tuple[GateResult, ...] = ()
    age: float = 0.0
    bad_answers: int = 0
    champion: Health = UNSEEN

    @property
    def verdicts(self) -> tuple[GateResult, ...]:
        """Of all gates."""
        return (*self.results, *self.outside)


@dataclass(frozen=True, slots=True)
class Command:
    """What a person asks for, or the configuration: then an amendment may come with it."""

    event: Event
    by: str
    reason: str = ""
    amendment: Amendment | None = None
    epoch: int | None = None
    """Of the stage that it is meant for, where that was said."""
    approving: bool = False
    """Whether it is the approval that the rollout waits for, and nothing else."""


class MovedOn(Exception):
    """The rollout is not where the person saw it who asks; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A change: the rollout as it is from now on, and why."""

    rollout: Rollout
    event: Event
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Move:
    """What the controller itself wants."""

    event: Event
    reason: str
    gate: str = ""


def decide(rollout: Rollout, seen: Observation, command: Command | None, generation: int) -> Decision | None:
    """The next change, or None where things stay. `generation` is the one that the change would have.

    A person's rollback comes first. Then the controller's retreats: a failing gate, in every phase that carries
    candidate traffic, and the limits that the plan sets whatever the gates say. Then a person's other wishes, and last
    the plan's own climb. In a dry run people alone act. Raises IllegalEvent where a person asks for what the phase does
    not allow, and MovedOn where they mean another stage."""
    move = _move(rollout, seen)
    rehearsed = rollout.terms.plan.dry_run
    retreats = move is not None and move.event in RETREATS and not rehearsed
    if command is not None and (command.event is Event.ROLL_BACK or not retreats):
        return _obey(rollout, command, generation)
    if move is None:
        return None
    if rehearsed and move.event is not Event.OVERDUE:
        return _advised(rollout, move, generation)
    return _decided(rollout, move.event, CONTROLLER, move.reason, generation, move.gate)


def _move(rollout: Rollout, seen: Observation) -> _Move | None:
    if not rollout.carrying:
        return None
    if (retreat := _retreat(rollout, seen)) is not None:
        return replace(retreat, reason=f"{retreat.reason}; {seen.champion}")
    if rollout.phase not in CLIMBING:
        return None
    lacking = waiting_for(rollout, seen)
    return _late(rollout, seen, lacking) if lacking else _Move(_climb(rollout), _passed(seen))


def _retreat(rollout: Rollout, seen: Observation) -> _Move | None:
    """The cap on bad answers is the end, even where a gate that fails would cost one step alone."""
    most = rollout.terms.plan.max_bad_answers
    if most is not None and seen.bad_answers >= most:
        reason = f"blast radius: the candidate failed {seen.bad_answers} requests of clients, and max_bad_answers is"
        return _Move(Event.ROLL_BACK, f"{reason} {most}, whatever the gates say")
    culprit = failed((*seen.results, *_of(rollout, seen, OutsideGate.ends)))
    if culprit is None:
        return None
    event = Event.STEP_DOWN if _may_step_down(rollout) else Event.ROLL_BACK
    return _Move(event, f"gate {culprit.gate}: {culprit.reason}", culprit.gate)


def _may_step_down(rollout: Rollout) -> bool:
    """Once, on the ramp, and from no lower than its second step."""
    on_the_ramp = rollout.phase is Phase.RAMP and rollout.position > 1
    return on_the_ramp and rollout.terms.plan.on_fail == "step_down" and not rollout.stepped_down


def _late(rollout: Rollout, seen: Observation, lacking: list[str]) -> _Move | None:
    deadline = rollout.terms.plan.deadline
    if deadline is None or seen.age < deadline.after:
        return None
    reason = f"the stage is not passed after {duration(deadline.after)}, its deadline; it lacks {', '.join(lacking)}"
    if deadline.then == "roll_back":
        return _Move(Event.ROLL_BACK, f"{reason}; {seen.champion}")
    return None if rollout.overdue else _Move(Event.OVERDUE, reason)


def waiting_for(rollout: Rollout, seen: Observation) -> list[str]:
    """What the present stage still lacks before the next one, each in a few words; empty where it is passed.

    A stage that saw no request is never passed, whatever its plan asks for: no data is no verdict."""
    stage = rollout.stage
    wanted = max(stage.min_requests, 1)
    lacking = []
    if seen.elapsed < stage.min_duration:
        lacking.append(f"{duration(math.ceil(stage.min_duration - seen.elapsed))} of {duration(stage.min_duration)}")
    if seen.requests < wanted:
        lacking.append(f"{wanted - seen.requests} of {wanted} requests")
    return lacking + [f"gate {name}" for name in undecided((*seen.results, *_of(rollout, seen, OutsideGate.keeps)))]


def held_by(rollout: Rollout, seen: Observation) -> list[str]:
    """The gates over what no window holds that the present stage waits for, where it lacks nothing else."""
    names = undecided(_of(rollout, seen, OutsideGate.keeps))
    return names if waiting_for(rollout, seen) == [f"gate {name}" for name in names] else []


def _of(rollout: Rollout, seen: Observation, does: Callable[[OutsideGate, Phase], bool]) -> Iterator[GateResult]:
    """What was heard of those gates that end, or keep, a stage such as the present one."""
    phase = rollout.terms.plan.phase_at(rollout.position)
    names = {gate.name for gate in rollout.terms.outside if does(gate, phase)}
    return (result for result in seen.outside if result.gate in names)


def _obey(rollout: Rollout, command: Command, generation: int) -> Decision:
    require_meant(rollout, command)
    event = _asked(rollout, command)
    next_phase(rollout.phase, event, rollout.phase)  # what is refused is refused as it stands
    if command.amendment is not None:
        rollout = amended(rollout, command.amendment, generation)
    return _decided(rollout, event, command.by, command.reason or f"asked by {command.by}", generation)


def require_meant(rollout: Rollout, command: Command) -> None:
    """What is asked twice, by two people or by one who got no answer, would skip a stage. Raises MovedOn."""
    here = f"the rollout is in phase {rollout.phase}, at {rollout.share_bp / 100:g} %, by now: nothing was changed"
    if command.epoch not in (None, rollout.epoch):
        raise MovedOn(f"{rollout.model}: that was asked of another stage; {here}")
    if command.approving and rollout.phase is not Phase.AWAITING_APPROVAL:
        raise MovedOn(f"{rollout.model}: it waits for no approval; {here}")


def _asked(rollout: Rollout, command: Command) -> Event:
    """To go on leads to the next stage, and never out of the last one: a promotion is a wish of its own, which is held
    to the production gates. Raises IllegalEvent."""
    if command.event not in (Event.CLIMB, Event.BAKE):
        return command.event
    if rollout.position == rollout.terms.plan.last:
        raise IllegalEvent(rollout.phase, Event.CLIMB)
    return _onward(rollout)


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
    match event:
        case Event.START:
            after = replace(after, begun=generation, epoch=generation)
        case Event.CLIMB | Event.BAKE:
            after = _entered(after, rollout.position + 1, generation)
        case Event.STEP_DOWN:
            after = replace(_entered(after, max(rollout.position - 1, 1), generation), stepped_down=True)
        case Event.PROMOTE | Event.ROLL_BACK:
            after = replace(after, epoch=generation)
        case Event.OVERDUE:
            after = replace(after, overdue=True)
    return Decision(after, event, by, reason)


def _entered(rollout: Rollout, position: int, generation: int) -> Rollout:
    """In a new stage, which has neither evidence nor a past."""
    return replace(rollout, position=position, epoch=generation, overdue=False, advised="")


def _advised(rollout: Rollout, move: _Move, generation: int) -> Decision | None:
    """Once for each change of mind."""
    if rollout.advised == move.event:
        return None
    reason = f"dry run: would {move.event.replace('_', ' ')}: {move.reason}"
    advised = _decided(rollout, Event.ADVISE, CONTROLLER, reason, generation, rollout.gate)
    return replace(advised, rollout=replace(advised.rollout, advised=str(move.event)))


def _passed(seen: Observation) -> str:
    verdicts = ", ".join(f"{result.gate} {result.verdict}" for result in seen.verdicts) or "no gates"
    return f"stage passed after {duration(round(seen.elapsed))} and {seen.requests} requests: {verdicts}"
