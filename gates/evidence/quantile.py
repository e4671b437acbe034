"""A latency quantile, read from histograms whose buckets hide where in them a sample lies.

"The q-quantile is above t" says no more than "more than 1 - q of the answers take longer than t", so a quantile's
confidence sequence is the rate's evidence turned round: t lies below it while #(X > t) shows too high a rate. It holds
for the quantile of any distribution, and at all times at once, because the evidence grows with the count: a wrong
t would need wrong evidence about the true quantile itself. Only edges of buckets are used for t, and a bucket that
straddles one is counted as whichever side makes the claim harder: bounds are at most one bucket (6.25 %) too wide.

Source: Howard & Ramdas 2022 (Bernoulli), arXiv 1906.09712, theorem 1, with the mixture of `rate` as its boundary."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gates.evidence.mixture import Vector, log_mean
from gates.evidence.rate import factors_above, factors_below, fewest_to_fail, most_to_pass
from proxy.histogram import MAX_INDEX, Histogram, lower_edge

MICROS = 1e6


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a quantile lies, in seconds; None where the data bound it on that side by nothing yet."""

    lower: float | None
    upper: float | None


def quantile_interval(latency: Histogram, q: float, alpha: float) -> Interval:
    """A confidence sequence for the q-quantile: it covers it at all times with probability 1 - alpha, alpha/2 on each
    side. Raises ValueError unless 0.05 < q < 1 and 0 < alpha < 1."""
    scale = _Scale(latency)
    fewest = fewest_to_fail(latency.total, 1 - q, alpha / 2)
    most = most_to_pass(latency.total, 1 - q, alpha / 2)
    below = scale.lower[scale.surely_from(scale.lower) >= fewest] if fewest is not None else scale.lower[:0]
    above = scale.upper[scale.possibly_above(scale.upper) <= most] if most is not None else scale.upper[:0]
    return Interval(_seconds(below[-1:]), _seconds(above[:1]))


def log_evidence_slower(candidate: Histogram, champion: Histogram, q: float, margin: float) -> float:
    """log E against "the candidate's q-quantile is at most (1 + margin) times the champion's".

    It reaches log(1/alpha) where the two arms' confidence sequences, at alpha/2 each, have parted by the margin.
    Raises ValueError unless 0.05 < q < 1 and margin >= 0."""
    ours, theirs = _Scale(candidate), _Scale(champion)
    parting = theirs.upper
    above = factors_above(ours.surely_from(parting * (1 + _lawful(margin))), candidate.total, 1 - q)
    below = factors_below(theirs.possibly_above(parting), champion.total, 1 - q)
    return _weaker(log_mean(above), log_mean(below))


def log_evidence_no_slower(candidate: Histogram, champion: Histogram, q: float, margin: float) -> float:
    """log E against "the candidate's q-quantile is at least (1 + margin) times the champion's"; errors as
    `log_evidence_slower`. A margin below 0.13, two buckets, may never be decided."""
    ours, theirs = _Scale(candidate), _Scale(champion)
    parting = theirs.lower
    below = factors_below(ours.possibly_above(parting * (1 + _lawful(margin))), candidate.total, 1 - q)
    above = factors_above(theirs.surely_from(parting), champion.total, 1 - q)
    return _weaker(log_mean(below), log_mean(above))


def slower_than(latency: Histogram, seconds: float) -> tuple[int, int]:
    """How many samples surely, and how many possibly, took longer than `seconds`: the first count is the one to fail
    a gate by, the second the one to pass it by. They differ only by the bucket that holds the limit."""
    scale = _Scale(latency)
    limit = np.array([seconds * MICROS])
    return int(scale.surely_from(limit)[0]), int(scale.possibly_above(limit)[0])


class _Scale:
    """The occupied buckets of a histogram in order: their edges in microseconds, and the samples from each one up."""

    def __init__(self, latency: Histogram) -> None:
        indices = sorted(index for index, count in latency.counts.items() if count)
        self.lower = _edges(indices)
        self.upper = _edges(index + 1 for index in indices)
        counts = [latency.counts[index] for index in indices]
        self._from = np.concatenate([np.cumsum(counts[::-1], dtype=np.int64)[::-1], [0]])

    def surely_from(self, micros: Vector) -> NDArray[np.int64]:
        """Samples in buckets wholly at or above each of `micros`."""
        return self._from[np.searchsorted(self.lower, micros, side="left")]

    def possibly_above(self, micros: Vector) -> NDArray[np.int64]:
        """Samples in buckets that reach above each of `micros`."""
        return self._from[np.searchsorted(self.upper, micros, side="right")]


def _edges(indices: Iterable[int]) -> Vector:
    return np.array([lower_edge(index) if index <= MAX_INDEX else np.inf for index in indices], dtype=np.float64)


def _weaker(left: Vector, right: Vector) -> float:
    """Both must hold, at some point of parting: each at alpha/2, hence the log 2."""
    return float(np.minimum(left, right).max(initial=0.0)) - math.log(2)


def _seconds(edge: Vector) -> float | None:
    return float(edge[0]) / MICROS if edge.size and math.isfinite(edge[0]) else None


def _lawful(margin: float) -> float:
    if not 0 <= margin < math.inf:
        raise ValueError(f"margin {margin} is not a number from 0 up")
    return margin
