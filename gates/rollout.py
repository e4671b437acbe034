"""One trial of one candidate, and the terms that it is judged by, which may be changed under way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gates.gate import Budget, Gate
from gates.outside import OutsideGate
from gates.phases import CARRYING
from gates.plan import Plan, Stage
from proxy.snapshot import AgreementSpec, Phase


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rollout is judged by."""

    plan: Plan
    gates: tuple[Gate, ...]
    budget: Budget
    agreement: AgreementSpec = field(default_factory=AgreementSpec)
    outside: tuple[OutsideGate, ...] = ()

    def gates_at(self, position: int) -> tuple[Gate, ...]:
        """Those that watch the stage at this position of the plan."""
        phase = self.plan.phase_at(position)
        return tuple(gate for gate in self.gates if gate.watches(phase))

    def outside_at(self, position: int) -> tuple[OutsideGate, ...]:
        """Those of the others that this stage is watched or held by."""
        phase = self.plan.phase_at(position)
        return tuple(gate for gate in self.outside if gate.ends(phase) or gate.keeps(phase))

    def parts(self, stages: Iterable[Phase]) -> int:
        """How many judgements of a critical gate there are in these stages; advisory ones cannot roll back."""
        critical = [gate for gate in self.gates if gate.severity == "critical"]
        return sum(gate.watches(phase) for phase in stages for gate in critical)


@dataclass(frozen=True, slots=True)
class Rollout:
    """One trial of one candidate. `position` indexes the plan's stages; `begun` is the generation at which the trial
    began, `epoch` the one at which this stage did, or at which other terms began to judge it."""

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
    """The gate that brought about the last decision, "" where none did."""
    reason: str = ""
    """Why it stands where it does: the reason of the last decision."""
    stepped_down: bool = False
    """A gate has failed on the ramp once; the next failure is the end."""
    overdue: bool = False
    """People were told that this stage is past its deadline."""
    advised: str = ""
    """In a dry run, the event that the controller asked for last in this stage."""
    since: int = 0
    """The position at which the present terms began to judge."""
    left: float = 1.0
    """The part of the budget for false alarms that the terms before these have left to them."""
    by_hand: int | None = None
    """The share, in basis points, that the configuration has set by hand; None where it leaves that to the plan."""

    def __post_init__(self) -> None:
        if self.champion == self.candidate:
            raise ValueError(f"{self.model}: version {self.candidate} is the champion already")
        if not (0 <= self.position <= self.terms.plan.last and 0 <= self.since <= self.terms.plan.last):
            raise ValueError(f"rollout: the plan has no stage {max(self.position, self.since)}")
        if not 0 <= self.begun <= self.epoch:
            raise ValueError(f"rollout: epoch {self.epoch} is before its beginning, {self.begun}")
        if not 0 < self.left <= 1:
            raise ValueError(f"rollout: {self.left} of the budget cannot be left")

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

    @property
    def alarm_alpha(self) -> float:
        """The probability of a false alarm that each critical gate has in each stage that it watches (union bound);
        advisory gates take the same. One part more is kept back, for terms that may follow these."""
        return self.terms.budget.false_alarm * self.left / (self._parts + 1)

    @property
    def left_over(self) -> float:
        """What would be `left` to terms that began now; some is, however often that happens."""
        plan = self.terms.plan
        again = self.stepped_down and plan.on_fail == "step_down"
        spent = self.terms.parts(plan.visited(self.since, self.position, again))
        return self.left * (1 - spent / (self._parts + 1))

    @property
    def _parts(self) -> int:
        return self.terms.parts(self.terms.plan.visits(self.since))


@dataclass(frozen=True, slots=True)
class Amendment:
    """The terms as the configuration has them now, and the candidate's share where it names one by hand."""

    terms: Terms
    by_hand: int | None = None

    def changes(self, rollout: Rollout) -> bool:
        return (self.terms, self.by_hand) != (rollout.terms, rollout.by_hand)


def amended(rollout: Rollout, amendment: Amendment, generation: int) -> Rollout:
    """The rollout under the amendment's terms.

    It stands where the new plan has its share, or at the highest step below it: only a share set by hand raises what
    the candidate serves. The evidence begins anew, in an epoch of its own, with what is left of the budget, where it
    would be judged otherwise than before: by other gates, another budget, more or fewer stages, or at another share."""
    terms = amendment.terms
    after = replace(
        rollout, terms=terms, by_hand=amendment.by_hand, position=_position(rollout, amendment), since=0, left=1.0
    )
    if _judged_by(after) == _judged_by(rollout):
        return replace(after, since=rollout.since, left=rollout.left)
    return replace(after, since=after.position, left=rollout.left_over, epoch=generation, overdue=False, advised="")


def told(rollout: Rollout, amendment: Amendment) -> str:
    """What the amendment changes, in words."""
    return "the configuration changed " + (", ".join(_changes(rollout, amendment)) or "the order of the gates")


def _position(rollout: Rollout, amendment: Amendment) -> int:
    plan, by_hand = amendment.terms.plan, amendment.by_hand
    if by_hand is not None and by_hand != rollout.by_hand:
        return plan.position_of(by_hand)
    if rollout.position == rollout.terms.plan.last:
        return plan.last
    return plan.position_of(rollout.share_bp)


def _judged_by(rollout: Rollout) -> tuple[object, ...]:
    terms = rollout.terms
    return (terms.gates, terms.budget, terms.agreement, terms.plan.visits(), rollout.position, rollout.share_bp)


def _by_name(terms: Terms) -> Mapping[str, Gate | OutsideGate]:
    return {**{gate.name: gate for gate in terms.gates}, **{gate.name: gate for gate in terms.outside}}


def _changes(rollout: Rollout, amendment: Amendment) -> Iterator[str]:
    before, after = rollout.terms, amendment.terms
    old, new = (_by_name(before), _by_name(after))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"gate {name} ({'new' if name not in old else 'gone' if name not in new else 'another'})"
    for name in ("plan", "budget", "agreement"):
        if getattr(before, name) != getattr(after, name):
            yield f"the {name}"
    if amendment.by_hand != rollout.by_hand:
        by_hand = amendment.by_hand
        yield "the share to that of the plan" if by_hand is None else f"the share to {by_hand / 100:g} %, by hand"
