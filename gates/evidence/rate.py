"""A rate against a bound: failures, disagreements, or slow answers, where "the q-quantile is at most L" reads "at most
1 - q of the answers take longer than L".

With p0 the bound, S events and F clean trials, E = mean_k (p_k/p0)^S ((1-p_k)/(1-p0))^F over 32 rates p_k, log-spaced
in (p0, 0.95] to show that the rate is above the bound, and in [p0/200, p0) to show that it is below. Valid for every
rate on the other side of the bound, at any time, if each trial's event has at most (at least) that probability given
all that came before it: retries and the requests of one user belong together, and are one trial.

Source: Howard et al. 2021, arXiv 1810.08240; the likelihood ratio is Wald's (1945)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from gates.evidence.mixture import GRID_POINTS, Vector, log_mean, threshold

LARGEST_RATE = 0.95
SMALLEST_SHARE = 0.005


@dataclass(frozen=True, slots=True)
class Tally:
    """Events out of trials. Raises ValueError for what cannot be."""

    events: int = 0
    trials: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.events <= self.trials:
            raise ValueError(f"{self.events} events of {self.trials} trials")

    def since(self, seen: Tally) -> tuple[int, int]:
        """The events and the trials that came after `seen`. (An event may come to light after its trial was counted.)

        Raises ValueError where either is fewer than before."""
        events, trials = self.events - seen.events, self.trials - seen.trials
        if events < 0 or trials < 0:
            raise ValueError(f"{self.events} of {self.trials} after {seen.events} of {seen.trials}")
        return events, trials


def log_evidence_above(events: int, trials: int, bound: float) -> float:
    """log E against "the rate is at most `bound`", from `events` out of `trials`.

    Raises ValueError unless 0 < bound < 0.95 and 0 <= events <= trials."""
    _check(events, trials)
    return float(log_mean(factors_above(events, trials, bound)))


def log_evidence_below(events: int, trials: int, bound: float) -> float:
    """log E against "the rate is at least `bound`"; errors as `log_evidence_above`."""
    _check(events, trials)
    return float(log_mean(factors_below(events, trials, bound)))


def factors_above(events: ArrayLike, trials: ArrayLike, bound: float) -> Vector:
    """The logarithms of the 32 likelihood ratios, shape (..., 32) for counts of shape (...).

    They add up over the parts of the data. Raises ValueError unless 0 < bound < 0.95."""
    return _factors(events, trials, *_log_ratios_above(bound))


def factors_below(events: ArrayLike, trials: ArrayLike, bound: float) -> Vector:
    """`factors_above` for the rates below the bound."""
    return _factors(events, trials, *_log_ratios_below(bound))


def fewest_to_fail(trials: int, bound: float, alpha: float) -> int | None:
    """The smallest number of events among `trials` that shows the rate to be above the bound; None where not even all
    of them would."""
    needed = threshold(alpha)
    if log_evidence_above(trials, trials, bound) < needed:
        return None
    return _bisect(trials, lambda events: log_evidence_above(events, trials, bound) >= needed)


def most_to_pass(trials: int, bound: float, alpha: float) -> int | None:
    """The largest number of events among `trials` that still shows the rate to be below the bound; None where not even
    none of them would."""
    needed = threshold(alpha)
    if log_evidence_below(0, trials, bound) < needed:
        return None
    return _bisect(trials, lambda events: log_evidence_below(events, trials, bound) < needed) - 1


def _check(events: int, trials: int) -> None:
    if not 0 <= events <= trials:
        raise ValueError(f"{events} events of {trials} trials")


def _factors(events: ArrayLike, trials: ArrayLike, log_event: Vector, log_clean: Vector) -> Vector:
    hits = np.asarray(events, dtype=np.float64)[..., None]
    rest = np.asarray(trials, dtype=np.float64)[..., None] - hits
    factors: Vector = hits * log_event + rest * log_clean
    return factors


@lru_cache(maxsize=256)
def _log_ratios_above(bound: float) -> tuple[Vector, Vector]:
    return _log_ratios(np.geomspace(_lawful(bound), LARGEST_RATE, GRID_POINTS + 1)[1:], bound)


@lru_cache(maxsize=256)
def _log_ratios_below(bound: float) -> tuple[Vector, Vector]:
    return _log_ratios(np.geomspace(_lawful(bound) * SMALLEST_SHARE, bound, GRID_POINTS + 1)[:-1], bound)


def _log_ratios(rates: Vector, bound: float) -> tuple[Vector, Vector]:
    """What an event and a clean trial each add, for every rate of the grid."""
    return np.log(rates / bound), np.log1p(-rates) - np.log1p(-bound)


def _lawful(bound: float) -> float:
    if not 0 < bound < LARGEST_RATE:
        raise ValueError(f"bound {bound} is not between 0 and {LARGEST_RATE}")
    return bound


def _bisect(largest: int, holds: Callable[[int], bool]) -> int:
    """The smallest count, 0 to `largest`, from which on `holds` is true; it must be so at `largest`."""
    return bisect_left(range(largest), True, key=holds)
