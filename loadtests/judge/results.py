"""The figures of a judge on a scenario, and what they say about ours."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadtests.judge.traffic import SECONDS, Counts, Traffic
from loadtests.judge.verdicts import Verdicts

OURS = "Penstock"


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares are of all rollouts, 0 to 1; seconds and requests are medians from the fault's beginning to the rollback,
    None where fewer than half were rolled back; `bad_answers` is the mean number of failed or slow answers that the
    candidate gave from the fault's beginning on, at most until the end of the hour."""

    scenario: str
    judge: str
    faulty: bool
    rollouts: int
    false_rollbacks: float
    detected: float
    seconds: float | None
    requests: float | None
    bad_answers: float | None
    promoted: float
    held: float

    @property
    def wrongly_promoted(self) -> float:
        return self.promoted if self.faulty else 0.0


def measure(judge: str, traffic: Traffic, verdicts: Verdicts) -> Figures:
    scenario, arms = traffic.scenario, traffic.answered
    at = verdicts.rolled_back
    late = np.isfinite(at) & (at > scenario.onset)
    found = late if scenario.faulty else np.zeros_like(late)
    stop = np.where(np.isfinite(at), at, SECONDS).astype(np.int64)
    asked = _between(arms.answers, scenario.onset, stop)
    bad = _between(arms.errors + arms.slow if scenario.slowdown > 1 else arms.errors, scenario.onset, stop)
    return Figures(
        scenario=scenario.name,
        judge=judge,
        faulty=scenario.faulty,
        rollouts=at.size,
        false_rollbacks=float((np.isfinite(at) & ~found).mean()),
        detected=float(found.mean()),
        seconds=_median(np.where(found, at - scenario.onset, math.inf)),
        requests=_median(np.where(found, asked, math.inf)),
        bad_answers=float(bad.mean()) if scenario.faulty else None,
        promoted=float(verdicts.promoted.mean()),
        held=float((np.isinf(at) & ~verdicts.promoted).mean()),
    )


def _between(counts: Counts, onset: int, stop: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each rollout's sum from second `onset` to its own `stop`."""
    sums = np.vstack([np.zeros(counts.shape[1], dtype=np.int64), counts.cumsum(axis=0, dtype=np.int64)])
    return np.asarray(sums[np.maximum(stop, onset), np.arange(stop.size)] - sums[onset])


def _median(values: NDArray[np.float64]) -> float | None:
    median = float(np.median(values))
    return median if math.isfinite(median) else None


def worst_of(figures: Iterable[Figures], judge: str) -> float:
    """The largest share of good releases that a judge rolls back in any scenario."""
    return max((f.false_rollbacks for f in figures if f.judge == judge and not f.faulty), default=0.0)


def shortfalls(figures: Iterable[Figures]) -> list[str]:
    """Where others do better than ours: one line for each scenario and figure, with what it costs them elsewhere."""
    figures = list(figures)
    cost = {f.judge: worst_of(figures, f.judge) for f in figures}
    lines = []
    for ours in (f for f in figures if f.judge == OURS):
        rivals = [f for f in figures if f.scenario == ours.scenario and f.judge != OURS]
        if safer := [f for f in rivals if f.false_rollbacks < ours.false_rollbacks]:
            named = ", ".join(f"{f.judge} ({f.false_rollbacks:.1%})" for f in safer)
            lines.append(f"{ours.scenario}: fewer false rollbacks than ours ({ours.false_rollbacks:.1%}): {named}")
        if quicker := [f for f in rivals if (f.bad_answers or 0) < (ours.bad_answers or 0)]:
            named = ", ".join(
                f"{f.judge} ({f.bad_answers:.1f}; it rolls back up to {cost[f.judge]:.0%} of good releases)"
                for f in quicker
            )
            lines.append(f"{ours.scenario}: fewer bad answers than ours ({ours.bad_answers:.1f}): {named}")
        if bolder := [f for f in rivals if not f.faulty and f.promoted > ours.promoted]:
            named = ", ".join(f"{f.judge} ({f.promoted:.0%})" for f in bolder)
            lines.append(
                f"{ours.scenario}: more promoted by the end of the hour than ours ({ours.promoted:.0%}, and "
                f"{ours.held:.0%} held for want of independent answers): {named}"
            )
    return lines
