"""Exact first passages, by walking the distribution of the counts one trial at a time: no simulation, no error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Boundary = Callable[[int], int | None]


def passed_upwards(rate: float, fewest: Boundary, trials: int) -> NDArray[np.float64]:
    """P(by trial n the events have reached fewest(n)) for n = 1 to `trials`, each event having probability `rate`."""
    return _passed(rate, trials, lambda n: slice(0) if (first := fewest(n)) is None else slice(first, None))


def passed_downwards(rate: float, most: Boundary, trials: int) -> NDArray[np.float64]:
    """P(by trial n the events have stood at or below most(n)) for n = 1 to `trials`."""
    return _passed(rate, trials, lambda n: slice(0) if (last := most(n)) is None else slice(last + 1))


def median(passed: NDArray[np.float64]) -> int:
    """The trial by which half have passed. Raises StopIteration where not even half do."""
    return next(n for n, share in enumerate(passed, start=1) if share >= 0.5)


def _passed(rate: float, trials: int, absorbing: Callable[[int], slice]) -> NDArray[np.float64]:
    alive = np.zeros(trials + 2)
    alive[0] = 1.0
    passed = np.zeros(trials)
    gone = 0.0
    for n in range(1, trials + 1):
        alive[1 : n + 1] = alive[1 : n + 1] * (1 - rate) + alive[:n] * rate
        alive[0] *= 1 - rate
        region = absorbing(n)
        gone += float(alive[region].sum())
        alive[region] = 0.0
        passed[n - 1] = gone
    return passed
