"""The mixture that every gate's evidence is: 32 simple alternatives, a likelihood ratio each, averaged.

Each ratio is a martingale under its null hypothesis at the boundary and shrinks in the mean deeper inside it, so their
mean has expectation at most 1 at every stopping time: it is an e-process, and the probability that it ever reaches
1/alpha is at most alpha (Ville's inequality; Howard et al. 2021, arXiv 1810.08240). All is done in logarithms, and on
arrays whose last axis is the mixture, so that one gate and a thousand simulated ones run through the same code.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

GRID_POINTS = 32


def log_mean(terms: Vector) -> Vector:
    """The logarithm of the mean of exp(terms) along the last axis, with neither overflow nor underflow."""
    peak = terms.max(axis=-1, keepdims=True)
    mean: Vector = peak[..., 0] + np.log(np.exp(terms - peak).mean(axis=-1))
    return mean


def threshold(alpha: float) -> float:
    """The log evidence that rejects at level alpha. Raises ValueError unless 0 < alpha < 1."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} is not between 0 and 1")
    return -math.log(alpha)
