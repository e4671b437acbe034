"""Late labels and business numbers, joined to the arm that answered: by what the answer said of itself, or by making
the assignment again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from proxy.routing import bucket_of
from proxy.snapshot import BASIS_POINTS

Arm = Literal["champion", "candidate"]
Unjoined = Literal["no_rollout", "no_split", "unsure", "unknown_version", "no_key"]
SETTLING = 2.0
"""Seconds after a change in which some workers may still route by what was before it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one answer: a number under a `name`. `at` is when the request was answered, in wall seconds.

    `unit` is what the request was assigned by: the sticky key, or the request's id where there is none. `id` tells
    outcomes of one name apart, so that one that is posted twice counts once. `version` is the answer's own
    `x-penstock-version`, "" where the caller did not keep it."""

    id: str
    unit: str
    name: str
    value: float
    at: float
    version: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """How a model's traffic was split from `at` (wall seconds) on. `rollout`, its salt, is "" while there is none."""

    at: float
    rollout: str
    champion: str
    candidate: str
    share_bp: int

    @property
    def split(self) -> bool:
        """Whether both arms served: only then are their outcomes of the same time."""
        return bool(self.rollout) and 0 < self.share_bp < BASIS_POINTS

    def arm_of(self, unit: str) -> Arm:
        """The same keyed hash by which the data plane assigns."""
        return "candidate" if bucket_of(self.rollout, unit.encode()) < self.share_bp else "champion"


@dataclass(frozen=True, slots=True)
class Joined:
    """An outcome with its arm; `exact` where the answer itself said who gave it. An assignment that is made again does
    not know of fallbacks: there the champion answered for a candidate that failed."""

    outcome: Outcome
    rollout: str
    arm: Arm
    exact: bool


def join(turns: Sequence[Turn], outcome: Outcome) -> Joined | Unjoined:
    """`turns` in order of time. A unit that changed its arm in the moment of a change is left out, not guessed."""
    place = bisect_right(turns, outcome.at, key=lambda turn: turn.at) - 1
    if place < 0 or not turns[place].rollout:
        return "no_rollout"
    turn = turns[place]
    if outcome.version:
        return _told(turns, place, outcome)
    if not turn.split:
        return "no_split"
    if not outcome.unit:
        return "no_key"
    arm = turn.arm_of(outcome.unit)
    if outcome.at - turn.at < SETTLING and place and arm != _before(turns[place - 1], turn, outcome.unit):
        return "unsure"
    return Joined(outcome, turn.rollout, arm, exact=False)


def _told(turns: Sequence[Turn], place: int, outcome: Outcome) -> Joined | Unjoined:
    """By the version that the answer named, a fallback's champion included."""
    turn = turns[place]
    if not turn.split:
        return "no_split"
    if outcome.version == turn.candidate:
        return Joined(outcome, turn.rollout, "candidate", exact=True)
    if outcome.version == turn.champion:
        return Joined(outcome, turn.rollout, "champion", exact=True)
    return "unknown_version"


def _before(previous: Turn, turn: Turn, unit: str) -> Arm | None:
    """The unit's arm before the change, None where another rollout was carrying."""
    return previous.arm_of(unit) if previous.rollout == turn.rollout else "champion"
