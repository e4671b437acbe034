"""Penstock's gates over simulated traffic: those of `gates.checks`, many rollouts at once.

Two critical gates share one false-alarm budget. Errors: at most 1 %, or half as many again as the champion's where that
is more, so that an outage of both is not the candidate's fault. Latency: the share of answers above the limit against
what the quantile leaves to it. The gates are looked at each second, and the hour ends in a promotion only where both
pass. (That each rollout is judged as `gates.checks.judge` would judge it alone, a test holds.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gates.evidence.combine import both, either
from gates.evidence.mixture import log_mean, threshold
from gates.evidence.process import advance, begin
from gates.evidence.rate import factors_above, factors_below
from gates.evidence.ratio import factors_no_worse, factors_worse
from gates.gate import Budget, Gate
from loadtests.judge.traffic import LIMIT_MS, SECONDS, Arms, Traffic
from loadtests.judge.verdicts import NEVER, Verdicts

MARGIN = 0.5
ERRORS = Gate("errors", "error_rate", 0.01, margin=MARGIN, against="champion")
LATENCY = Gate("latency", "latency", LIMIT_MS / 1000)
GATES = (ERRORS, LATENCY)
BUDGET = Budget()
ALARM = BUDGET.false_alarm / len(GATES)
"""The part of each gate: the hour is one stage."""

Totals = NDArray[np.int64]


class Watches:
    """RateWatch and RatioWatch, an array row for each rollout."""

    def __init__(self, rollouts: int) -> None:
        self.errors, self.latency, self.worse = (np.tile(begin(), (rollouts, 1)) for _ in range(3))
        self.no_worse = np.tile(begin(late=0.0), (rollouts, 1))
        self.seen = np.zeros(rollouts, dtype=np.int64)
        self.compared = np.zeros(rollouts, dtype=np.int64)
        self.open = np.zeros((4, rollouts), dtype=np.int64)

    def look(self, tick: Totals) -> None:
        """Rows of `tick`: answers, errors, slow answers, champion's answers, champion's errors."""
        answers, errors, slow, champion_answers, champion_errors = tick
        self.errors = advance(self.errors, self.seen, answers, factors_above(errors, answers, ERRORS.bound))
        self.latency = advance(self.latency, self.seen, answers, factors_above(slow, answers, LATENCY.bound))
        self.seen = self.seen + answers
        self.open = self.open + np.stack([errors, answers, champion_errors, champion_answers])
        closed = np.where((self.open[1] > 0) & (self.open[3] > 0), self.open, 0)
        events, trials, theirs, their_trials = closed
        worse = factors_worse(events, trials, theirs, their_trials, MARGIN)
        no_worse = factors_no_worse(events, trials, theirs, their_trials, MARGIN)
        self.worse = advance(self.worse, self.compared, trials, worse)
        self.no_worse = advance(self.no_worse, self.compared, trials, no_worse, late=0.0)
        self.compared = self.compared + trials
        self.open = self.open - closed

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Go on with these rollouts alone."""
        for name in ("errors", "latency", "worse", "no_worse", "seen", "compared"):
            setattr(self, name, getattr(self, name)[rows])
        self.open = self.open[:, rows]

    def failing(self) -> NDArray[np.bool_]:
        needed = threshold(ALARM)
        errors = both(log_mean(self.errors), log_mean(self.worse)) >= needed
        return np.asarray(errors | (log_mean(self.latency) >= needed))

    def passing(self, totals: Totals) -> NDArray[np.bool_]:
        answers, errors, slow = totals[:3]
        needed = threshold(BUDGET.false_pass)
        below = either(log_mean(factors_below(errors, answers, ERRORS.bound)), log_mean(self.no_worse)) >= needed
        return np.asarray(below & (log_mean(factors_below(slow, answers, LATENCY.bound)) >= needed))


def judge(traffic: Traffic) -> Verdicts:
    arms = traffic.counted
    rollouts = arms.answers.shape[1]
    alive = np.arange(rollouts)
    rolled_back = np.full(rollouts, NEVER)
    promoted = np.zeros(rollouts, dtype=bool)
    watches = Watches(rollouts)
    for second in range(SECONDS):
        watches.look(_counts(arms, second, alive))
        failing = watches.failing()
        if failing.any():
            rolled_back[alive[failing]] = second + 1
            alive = alive[~failing]
            watches.keep(~failing)
            if not alive.size:
                return Verdicts(rolled_back, promoted)
    promoted[alive] = watches.passing(_sums(arms, alive))
    return Verdicts(rolled_back, promoted)


def _counts(arms: Arms, second: int, alive: NDArray[np.int64]) -> Totals:
    columns = (arms.answers, arms.errors, arms.slow, arms.champion_answers, arms.champion_errors)
    return np.stack([column[second, alive] for column in columns]).astype(np.int64)


def _sums(arms: Arms, alive: NDArray[np.int64]) -> Totals:
    columns = (arms.answers, arms.errors, arms.slow)
    return np.stack([column[:, alive].sum(axis=0) for column in columns]).astype(np.int64)
