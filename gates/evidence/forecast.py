"""How many more requests a gate will need, if its rates are what one assumes.

Along the mean path, n requests bring n times the rate in events, and the log evidence is a convex function of n: it
reaches its threshold once, or never. Chance makes the true path wander, and it may decide the sooner for it: by the
number forecast, between half and three quarters of all rollouts have decided. None says that no number of requests
worth naming would do: the rate is on the other side of the bound, or too close to it.

`so_far` is the log mixture of what was seen already: `factors_above` of the totals, say, or the logs of an EProcess,
which weigh faults that begin late as well. Without it, the forecast is that of a gate which has seen nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from gates.evidence.mixture import Vector, log_mean, threshold
from gates.evidence.rate import factors_above, factors_below
from gates.evidence.ratio import factors_no_worse, factors_worse

MOST = 10**12


def requests_to_fail(rate: float, bound: float, alpha: float, so_far: ArrayLike = 0.0) -> int | None:
    """The candidate's requests until a rate above the bound is shown.

    Raises ValueError unless 0 <= rate <= 1, 0 < bound < 0.95 and 0 < alpha < 1."""
    _check(rate)
    return _reach(lambda n: factors_above(rate * n, n, bound), alpha, so_far)


def requests_to_pass(rate: float, bound: float, alpha: float, so_far: ArrayLike = 0.0) -> int | None:
    """The candidate's requests until a rate below the bound is shown; errors as `requests_to_fail`."""
    _check(rate)
    return _reach(lambda n: factors_below(rate * n, n, bound), alpha, so_far)


def requests_to_show_worse(
    rate: float, champion_rate: float, share: float, margin: float, alpha: float, so_far: ArrayLike = 0.0
) -> int | None:
    """The candidate's requests until its rate is shown to be above (1 + margin) times the champion's, where a `share`
    of all answers is the candidate's. Raises ValueError for what is no rate, no share between 0 and 1, no margin."""
    _check(rate, champion_rate, share)
    others = (1 - share) / share
    return _reach(lambda n: factors_worse(rate * n, n, champion_rate * others * n, others * n, margin), alpha, so_far)


def requests_to_show_no_worse(
    rate: float, champion_rate: float, share: float, margin: float, alpha: float, so_far: ArrayLike = 0.0
) -> int | None:
    """As `requests_to_show_worse`, until the rate is shown to be below (1 + margin) times the champion's."""
    _check(rate, champion_rate, share)
    others = (1 - share) / share
    return _reach(
        lambda n: factors_no_worse(rate * n, n, champion_rate * others * n, others * n, margin), alpha, so_far
    )


def _reach(factors: Callable[[int], Vector], alpha: float, so_far: ArrayLike) -> int | None:
    needed, begun = threshold(alpha), np.asarray(so_far, dtype=np.float64)

    def reached(n: int) -> bool:
        return float(log_mean(begun + factors(n))) >= needed

    return bisect_left(range(MOST), True, key=reached) if reached(MOST) else None


def _check(rate: float, champion_rate: float = 0.0, share: float = 0.5) -> None:
    if not (0 <= rate <= 1 and 0 <= champion_rate <= 1):
        raise ValueError(f"rates {rate} and {champion_rate} are not between 0 and 1")
    if not 0 < share < 1:
        raise ValueError(f"share {share} is not between 0 and 1")
