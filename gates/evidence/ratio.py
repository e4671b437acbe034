"""A candidate's rate against the champion's: the test of Lindon & Malek, which looks at the events alone.

With r the ratio of the two rates, an event is the candidate's with probability theta(r) = n r / (n r + m), where n and
m are the answers that each arm gave meanwhile. Whatever raises both rates, such as a common outage, leaves theta as it
is. Against r0 = 1 + margin, E = mean_k prod [theta(r_k)/theta(r0)]^candidate [(1-theta(r_k))/(1-theta(r0))]^champion
over 32 ratios r_k, log-spaced in (r0, 100 r0] to show that the candidate is worse, and in [r0/100, r0) to show that it
is not.

Shares change from step to step and with the whims of sticky users, so the product is taken tick by tick, each with its
own n and m. Valid if within a tick every answer of an arm fails with that arm's probability, however it changes from
tick to tick, and if no outcome within the tick decides how many answers there are: with p the champion's probability
and q <= r0 p the candidate's, the mean of one tick's factor is (1 + q(a-1))^n (1 + p(b-1))^m, where a and b are what an
event of each arm contributes, and by 1 + x <= e^x that is at most exp(q n (a-1) + p m (b-1)) <= 1.

The same form serves pairs (every request answered by both: n = m, see `paired`) and the noise floor, where the two
rates are those of candidate-against-champion and of champion-against-champion disagreements.

Source: Lindon & Malek, NeurIPS 2022 (Anytime-valid inference for multinomial count data)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from gates.evidence.mixture import GRID_POINTS, Vector

LARGEST_RATIO = 100.0


def factors_worse(
    events: ArrayLike, trials: ArrayLike, champion_events: ArrayLike, champion_trials: ArrayLike, margin: float
) -> Vector:
    """One tick's logarithms of the 32 likelihood ratios against "the candidate's rate is at most (1 + margin) times the
    champion's", shape (..., 32) for counts of shape (...).

    Zero in a tick where either arm is silent. Raises ValueError unless margin >= 0."""
    return _factors(events, trials, champion_events, champion_trials, margin, _ratios_worse(margin))


def factors_no_worse(
    events: ArrayLike, trials: ArrayLike, champion_events: ArrayLike, champion_trials: ArrayLike, margin: float
) -> Vector:
    """`factors_worse` against "the candidate's rate is at least (1 + margin) times the champion's".

    Two arms that never fail stay at 0: events are all that this form can learn from."""
    return _factors(events, trials, champion_events, champion_trials, margin, _ratios_no_worse(margin))


def _factors(
    events: ArrayLike,
    trials: ArrayLike,
    champion_events: ArrayLike,
    champion_trials: ArrayLike,
    margin: float,
    ratios: Vector,
) -> Vector:
    ours, theirs, n, m = (
        np.asarray(counts, dtype=np.float64)[..., None] for counts in (events, champion_events, trials, champion_trials)
    )
    both = (n > 0) & (m > 0)
    # theta(r_k)/theta(r0) = (r_k/r0) / growth and (1-theta(r_k))/(1-theta(r0)) = 1 / growth: no theta near 0 or 1.
    growth = np.log(np.where(both, n * ratios + m, 1.0)) - np.log(np.where(both, n * (1 + margin) + m, 1.0))
    return np.where(both, ours * np.log(ratios / (1 + margin)) - (ours + theirs) * growth, 0.0)


@lru_cache(maxsize=256)
def _ratios_worse(margin: float) -> Vector:
    return np.geomspace(_limit(margin), _limit(margin) * LARGEST_RATIO, GRID_POINTS + 1)[1:]


@lru_cache(maxsize=256)
def _ratios_no_worse(margin: float) -> Vector:
    return np.geomspace(_limit(margin) / LARGEST_RATIO, _limit(margin), GRID_POINTS + 1)[:-1]


def _limit(margin: float) -> float:
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin {margin} is not a number from 0 up")
    return 1 + margin
