"""The rules of Flagger, Argo Rollouts and Kayenta, as their documentation describes them, over the same traffic.

Where the documentation leaves room, the choice favours them: metrics are exact and there at once (no scrape, no query
delay), and a rollback takes effect at the check that calls for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from loadtests.judge.ours import ERRORS, LATENCY
from loadtests.judge.traffic import P99_MS, SECONDS, SHARE, SPREAD, Counts, Traffic
from loadtests.judge.verdicts import NEVER, Verdicts

MINUTE = 60


class Rule(Protocol):
    @property
    def name(self) -> str: ...

    def judge(self, traffic: Traffic, rng: np.random.Generator) -> Verdicts: ...


def windows(counts: Counts, seconds: int) -> NDArray[np.int64]:
    """The counts of each window, shape (windows, rollouts)."""
    return np.asarray(counts.reshape(SECONDS // seconds, seconds, -1).sum(axis=1, dtype=np.int64))


def breaches(traffic: Traffic, seconds: int) -> NDArray[np.bool_]:
    """Whether each window's success rate or its p99 is beyond its limit, or not there because nothing was answered."""
    arms = traffic.answered
    answers = windows(arms.answers, seconds)
    failing = windows(arms.errors, seconds) > ERRORS.bound * answers
    slow = windows(arms.slow, seconds) > LATENCY.bound * answers
    return np.asarray(failing | slow | (answers == 0))


def _at(breached: NDArray[np.bool_], number: int, interval: int) -> NDArray[np.float64]:
    """The second at which each rollout's breaches reach `number`."""
    reached = np.cumsum(breached, axis=0) >= number
    return np.where(reached.any(axis=0), interval * (1.0 + reached.argmax(axis=0)), NEVER)


@dataclass(frozen=True, slots=True)
class Flagger:
    """Every minute, over the last minute: a success rate below 99 % or a p99 above its limit is a failed check, and so
    is a metric without values ("Halt advancement no values found"). `threshold` failed checks, which nothing resets,
    roll back; a failed check does not advance, and `ITERATIONS` passed ones promote.

    Sources: docs.flagger.app/usage/how-it-works, /usage/metrics and /usage/deployment-strategies ("max number of failed
    metric checks before rollback"; rollback after interval * threshold; defaults of the examples: 1m, 5 and 10)."""

    threshold: int

    ITERATIONS = 50

    @property
    def name(self) -> str:
        return f"Flagger, threshold {self.threshold}"

    def judge(self, traffic: Traffic, rng: np.random.Generator) -> Verdicts:
        failed = breaches(traffic, MINUTE)
        rolled_back = _at(failed, self.threshold, MINUTE)
        passed = (~failed).sum(axis=0) >= self.ITERATIONS
        return Verdicts(rolled_back, passed & np.isinf(rolled_back))


@dataclass(frozen=True, slots=True)
class Argo:
    """A background analysis, measured every `minutes` over as long: a measurement that does not meet its
    successCondition has failed, NaN included, and more than `failure_limit` of them fail the run, which aborts the
    rollout. Without that, the end of the steps promotes it.

    Sources: argo-rollouts.readthedocs.io/en/stable/features/analysis ("failureLimit is the maximum number of failed run
    an analysis is allowed", "Handling Metric Results"; an interval of 5m and a failureLimit of 3 in the first example,
    and 0 by default)."""

    minutes: int
    failure_limit: int

    @property
    def name(self) -> str:
        return f"Argo, {self.minutes} min, limit {self.failure_limit}"

    def judge(self, traffic: Traffic, rng: np.random.Generator) -> Verdicts:
        interval = self.minutes * MINUTE
        rolled_back = _at(breaches(traffic, interval), self.failure_limit + 1, interval)
        return Verdicts(rolled_back, np.isinf(rolled_back))


@dataclass(frozen=True, slots=True)
class Kayenta:
    """One run at the end of the hour: error rate and p99 of each minute, candidate against a baseline of its own size.
    A metric is High where the 98 % Mann-Whitney interval of the shift lies above a quarter of the Hodges-Lehmann
    estimate; minutes without data are removed, and a metric without any is left out. The score is the share of metrics
    that pass, here of two groups with a weight of 50: below 75 it fails the canary, above 95 it passes.

    Sources: spinnaker.io/docs/guides/user/canary/judge and /best-practices ("at least 50 pieces of time series data per
    metric", an interval of one hour, marginal 75, pass 95); the defaults of NetflixACAJudge (tolerance 0.25,
    confidence level 0.98). Its optional removal of outliers is left out."""

    CONFIDENCE = 0.98
    TOLERANCE = 0.25
    WEIGHT = 50
    MARGINAL = 75
    PASS = 95

    @property
    def name(self) -> str:
        return "Kayenta, 1 h"

    def judge(self, traffic: Traffic, rng: np.random.Generator) -> Verdicts:
        arms = traffic.answered
        answers, errors = windows(arms.answers, MINUTE), windows(arms.errors, MINUTE)
        same_size = SHARE / (1 - SHARE)
        theirs = windows(arms.champion_errors, MINUTE)
        base_errors = rng.binomial(theirs, same_size)
        base = base_errors + rng.binomial(windows(arms.champion_answers, MINUTE) - theirs, same_size)
        failed = self.high(_share(errors, answers), _share(base_errors, base))
        slow = self.high(_p99(answers, traffic.scenario.slowdown, rng), _p99(base, 1.0, rng))
        score = 100 - self.WEIGHT * (failed.astype(int) + slow.astype(int))
        return Verdicts(np.where(score < self.MARGINAL, float(SECONDS), NEVER), score > self.PASS)

    def high(self, experiment: NDArray[np.float64], control: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Of each column, whether the experiment's values are higher; NaN is no value."""
        return np.array(
            [
                self._high(ours[~np.isnan(ours)], theirs[~np.isnan(theirs)])
                for ours, theirs in zip(experiment.T, control.T, strict=True)
            ]
        )

    def _high(self, ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> bool:
        if not ours.size or not theirs.size:
            return False
        lower, estimate = shift(ours, theirs, self.CONFIDENCE)
        return lower > self.TOLERANCE * abs(estimate)


def shift(ours: NDArray[np.float64], theirs: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """The Hodges-Lehmann estimate of how far ours lie above theirs, and before it the lower end of its two-sided
    Mann-Whitney interval (normal approximation), -infinity where there are too few values for one."""
    n, m = ours.size, theirs.size
    shifts = np.sort(np.subtract.outer(ours, theirs), axis=None)
    rank = n * m / 2 + ndtri((1 - confidence) / 2) * np.sqrt(n * m * (n + m + 1) / 12)
    return float(shifts[int(rank)]) if rank >= 0 else -np.inf, float(np.median(shifts))


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _p99(answers: NDArray[np.int64], slowdown: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """The p99 of each minute's lognormal latencies, drawn as the order statistic that it is."""
    size = np.maximum(answers, 1)
    rank = np.ceil(0.99 * size)
    level = rng.beta(rank, size - rank + 1)
    latency = P99_MS * slowdown * np.exp(SPREAD * (ndtri(level) - ndtri(0.99)))
    return np.where(answers > 0, latency, np.nan)


RIVALS: tuple[Rule, ...] = (
    Flagger(1),
    Flagger(5),
    Flagger(10),
    Argo(1, 0),
    Argo(1, 3),
    Argo(5, 0),
    Argo(5, 3),
    Kayenta(),
)
