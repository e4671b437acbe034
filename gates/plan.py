"""The plan of a rollout: its stages in order, shadow first, then the steps of the ramp, then the bake."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from proxy.snapshot import BASIS_POINTS, Phase


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
class Plan:
    """The stages of a rollout. A rollout's `position` is an index into `stages`."""

    shadow: Stage
    steps: tuple[Stage, ...]
    bake: Stage

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

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (self.shadow, *self.steps, self.bake)

    @property
    def last(self) -> int:
        """The position of the bake."""
        return len(self.steps) + 1

    def phase_at(self, position: int) -> Phase:
        if position == 0:
            return Phase.SHADOW
        return Phase.BAKE if position == self.last else Phase.RAMP
