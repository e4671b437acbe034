"""Evidence that may be looked at all the time.

An e-process starts at 1 and has expectation at most 1 under its null hypothesis at every stopping time, so the
probability that it ever reaches 1/alpha is at most alpha (Ville's inequality): a gate can be judged after each
request without any correction for the looks. All functions need counts only and return log E, so that windows of many
workers are merged before the evidence is taken.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

GRID_POINTS = 32
LARGEST_RATE = 0.95
SMALLEST_SHARE = 0.005


@lru_cache(maxsize=256)
def _rates_above(bound: float) -> NDArray[np.float64]:
    return np.geomspace(bound, LARGEST_RATE, GRID_POINTS + 1)[1:]


@lru_cache(maxsize=256)
def _rates_below(bound: float) -> NDArray[np.float64]:
    return np.geomspace(bound * SMALLEST_SHARE, bound, GRID_POINTS + 1)[:-1]


def log_evidence_above(events: int, trials: int, bound: float) -> float:
    """log E against "the rate is at most `bound`", from `events` out of `trials`.

    The mixture likelihood ratio E = mean_k (p_k/p0)^S ((1-p_k)/(1-p0))^F over 32 rates p_k, log-spaced in (p0, 0.95];
    each ratio is a test martingale under p0 and a supermartingale under any smaller rate (Howard et al. 2021, arXiv
    1810.08240). Needs exchangeable trials. Raises ValueError unless 0 < bound < 0.95 and 0 <= events <= trials."""
    _check(events, trials, bound)
    return _log_mixture(events, trials, bound, _rates_above(bound))


def log_evidence_below(events: int, trials: int, bound: float) -> float:
    """log E against "the rate is at least `bound`": the same mixture over 32 rates, log-spaced in [p0/200, p0).

    Same validity and errors as `log_evidence_above`."""
    _check(events, trials, bound)
    return _log_mixture(events, trials, bound, _rates_below(bound))


def _check(events: int, trials: int, bound: float) -> None:
    if not 0 < bound < LARGEST_RATE:
        raise ValueError(f"bound {bound} is not between 0 and {LARGEST_RATE}")
    if not 0 <= events <= trials:
        raise ValueError(f"{events} events of {trials} trials")


def _log_mixture(events: int, trials: int, bound: float, rates: NDArray[np.float64]) -> float:
    terms = events * np.log(rates / bound) + (trials - events) * (np.log1p(-rates) - np.log1p(-bound))
    peak = terms.max()
    return float(peak + np.log(np.exp(terms - peak).mean()))
