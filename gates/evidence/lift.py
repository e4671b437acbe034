"""The mean of any measured quantity, and how far the candidate's lies from the champion's.

With n values of sample deviation s, the true mean is at all times at once within

    s sqrt(2 (n rho^2 + 1) ln(sqrt(n rho^2 + 1)/alpha)) / (n rho)

of theirs. That is asymptotic: it asks for independent values with a finite variance, and says nothing about fewer than
`FEWEST` of them. rho makes the sequence narrowest near the number of values asked for.

Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, arXiv 2103.06476, theorem 2.2; merging: Chan, Golub &
LeVeque 1983."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

FEWEST = 100
NARROWEST = 5_000


@dataclass(frozen=True, slots=True)
class Moments:
    """How many values, their mean, and the sum of their squared deviations from it. `Moments()` is the zero of a
    commutative monoid (but for rounding)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 0 or not math.isfinite(self.mean) or not 0 <= self.squares < math.inf:
            raise ValueError(f"moments: {self.count} values, mean {self.mean}, squares {self.squares}")

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        """Raises ValueError where a value is not finite, or where their squares are too large for a number."""
        moments = cls()
        for value in values:
            moments = moments.merged(cls(1, value))
        return moments

    def merged(self, other: Moments) -> Moments:
        """The moments of both sets of values together."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        gap = other.mean - self.mean
        squares = self.squares + other.squares + gap * gap * (self.count * other.count / count)
        return Moments(count, self.mean + gap * (other.count / count), squares)


@dataclass(frozen=True, slots=True)
class Range:
    """From `lower` to `upper`, in the unit of the values."""

    lower: float
    upper: float


def mean_range(moments: Moments, alpha: float, narrowest: int = NARROWEST) -> Range | None:
    """Covers the mean at all times with probability 1 - alpha; None before `FEWEST` values.

    Raises ValueError unless 0 < alpha < 1 and narrowest >= 1."""
    width = _half_width(moments, alpha, narrowest)
    return None if width is None else Range(moments.mean - width, moments.mean + width)


def lift_range(candidate: Moments, champion: Moments, alpha: float, narrowest: int = NARROWEST) -> Range | None:
    """Covers the candidate's mean less the champion's at all times with probability 1 - alpha, alpha/2 for each arm, so
    it holds however the shares change; None before both have `FEWEST` values. Errors as `mean_range`."""
    ours, theirs = _half_width(candidate, alpha / 2, narrowest), _half_width(champion, alpha / 2, narrowest)
    if ours is None or theirs is None:
        return None
    lift = candidate.mean - champion.mean
    return Range(lift - ours - theirs, lift + ours + theirs)


def _half_width(moments: Moments, alpha: float, narrowest: int) -> float | None:
    if not 0 < alpha < 1 or narrowest < 1:
        raise ValueError(f"alpha {alpha} must be between 0 and 1, and narrowest {narrowest} at least 1")
    n = moments.count
    if n < FEWEST:
        return None
    deviation = math.sqrt(moments.squares / (n - 1))
    tuning = _tuning(alpha, narrowest)
    spread = n * tuning * tuning + 1
    return deviation * math.sqrt(2 * spread * (0.5 * math.log(spread) - math.log(alpha))) / (n * tuning)


def _tuning(alpha: float, narrowest: int) -> float:
    doubt = -2 * math.log(alpha)
    return math.sqrt((doubt + math.log(doubt + 1)) / narrowest)
