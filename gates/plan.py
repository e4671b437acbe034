"""The plan of a rollout: its stages in order, shadow first, then the steps of the ramp, then the bake; and its limits,
which hold whatever the gates say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from proxy.snapshot import BASIS_POINTS, Phase

OnFail = Literal["roll_back", "step_down"]
Overdue = Literal["alert", "roll_back"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One rung: the candidate's share of the traffic, and what must have been seen before the next rung.

    `min_duration` is in seconds of traffic that every live worker routes by this stage. `min_requests` counts, in
    shadow, the copies that the candidate answered; on the ramp, the requests that it served to clients. `approval`
    asks a person before the stage is entered."""

    share_bp: int
    min_duration: float = 0.0
    min_requests: int = 0
    approval: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.share_bp <= BASIS_POINTS:
            raise ValueError(f"percent {self.share_bp / 100:g} is not between 0 and 100")
        if self.min_duration < 0 or self.min_requests < 0:
            raise ValueError("min_duration and min_requests must not be negative")


@dataclass(frozen=True, slots=True)
class Deadline:
    """What happens to a stage that is not passed `after` so many seconds."""

    after: float
    then: Overdue = "alert"

    def __post_init__(self) -> None:
        if self.after <= 0:
            raise ValueError("plan.deadline: after must be above 0")


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages of a rollout. A rollout's `position` is an index into `stages`.

    `on_fail` is what a failing gate does on the ramp, `max_bad_answers` the number of clients' requests whose failure
    by the candidate ends the rollout, whatever the gates say. `cool_down` is in seconds. With `dry_run` the
    controller's decisions are recorded, and not carried out; people's are."""

    shadow: Stage
    steps: tuple[Stage, ...]
    bake: Stage
    on_fail: OnFail = "roll_back"
    max_bad_answers: int | None = None
    deadline: Deadline | None = None
    cool_down: float = 0.0
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("plan.steps: expected at least one step")
        shares = [0, *(step.share_bp for step in self.steps)]
        if self.shadow.share_bp != 0:
            raise ValueError("plan.shadow: the candidate serves nobody in shadow")
        if any(low >= high for low, high in pairwise(shares)):
            raise ValueError("plan.steps: expected percentages that rise from step to step")
        if self.steps[-1].share_bp != BASIS_POINTS or self.bake.share_bp != BASIS_POINTS:
            raise ValueError("plan.steps: expected the last step to be 100")
        if self.max_bad_answers is not None and self.max_bad_answers < 1:
            raise ValueError("plan.max_bad_answers: expected at least 1")
        if self.cool_down < 0:
            raise ValueError("plan.cool_down must not be negative")

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (self.shadow, *self.steps, self.bake)

    @property
    def last(self) -> int:
        """The position of the bake."""
        return len(self.steps) + 1

    def visits(self, first: int = 0) -> tuple[Phase, ...]:
        """The phase of every stage that a rollout may pass through at most, from the position `first` on: the lower
        step and the one that failed come once more where it may step down."""
        again = self.on_fail == "step_down" and len(self.steps) > 1
        return self.visited(first, self.last, again)

    def visited(self, first: int, position: int, again: bool) -> tuple[Phase, ...]:
        """The phase of every stage passed through from `first` to `position`; `again` tells of a step down between."""
        once = tuple(self.phase_at(each) for each in range(first, position + 1))
        return (*once, Phase.RAMP, Phase.RAMP) if again else once

    def phase_at(self, position: int) -> Phase:
        if position == 0:
            return Phase.SHADOW
        return Phase.BAKE if position == self.last else Phase.RAMP

    def position_of(self, share_bp: int) -> int:
        """The highest stage before the bake whose share is not above this one."""
        return max(at for at, stage in enumerate((self.shadow, *self.steps)) if stage.share_bp <= share_bp)

    def through(self, share_bp: int) -> Plan:
        """The plan with a step of this share; a new one asks what the step before it does, and the first one what the
        second does."""
        below = tuple(step for step in self.steps if step.share_bp < share_bp)
        if share_bp == 0 or self.steps[len(below)].share_bp == share_bp:
            return self
        like = below[-1] if below else self.steps[0]
        between = replace(like, share_bp=share_bp, approval=False)
        return replace(self, steps=(*below, between, *self.steps[len(below) :]))
