"""From runs to figures: medians of cases, medians of ratios of neighbouring runs, and whether goals are met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from loadtests.bench.runs import Run
from loadtests.bench.scenarios import Case, Goal, Scenario

MEASURES = (
    "requests_per_second",
    "p50",
    "p99",
    "p999",
    "cpu_micros",
    "busy",
    "rss_mib",
    "ready_seconds",
    "copied",
    "compared",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One case over all its runs: medians, but failures and disagreements added up. None where nothing was measured."""

    label: str
    body: int
    runs: int
    figures: dict[str, float | None]
    failures: int
    disagreed: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A goal and what came of it; `met` is None where the goal sets no bound. `low` and `high` are the extremes."""

    text: str
    value: float
    low: float
    high: float
    pairs: int
    met: bool | None


@dataclass(frozen=True, slots=True)
class Result:
    """A scenario, its runs in the order in which they were made, and what they say."""

    scenario: Scenario
    runs: tuple[Run, ...]

    @property
    def rows(self) -> list[Row]:
        return [_row(case, _runs_of(case, self.runs)) for case in dict.fromkeys(run.case for run in self.runs)]

    @property
    def findings(self) -> list[Finding]:
        return [finding for goal in self.scenario.goals if (finding := judge(goal, self.runs)) is not None]


def judge(goal: Goal, runs: Sequence[Run]) -> Finding | None:
    """The median of the ratios to neighbours, or the worst of the runs; None where there is nothing to go by."""
    if goal.against is not None:
        values = ratios(goal.measure, goal.of, goal.against, runs)
        value = median(values) if values else 0.0
    else:
        values = _values(goal.measure, _runs_of(goal.of, runs))
        value = max(values, default=0.0) if goal.at_least is None else min(values, default=0.0)
    if not values:
        return None
    return Finding(_text(goal), value, min(values), max(values), len(values), goal.met_by(value))


def ratios(measure: str, of: Case, against: Case, runs: Sequence[Run]) -> list[float]:
    """For each run of `of`, its measure over that of the run of `against` nearest to it in time."""
    others = [index for index, run in enumerate(runs) if run.case == against]
    found = []
    for index, run in enumerate(runs):
        if run.case == of and others:
            neighbour = runs[min(others, key=lambda other: abs(other - index))]
            above, below = getattr(run, measure), getattr(neighbour, measure)
            if above is not None and below:
                found.append(above / below)
    return found


def _row(case: Case, runs: Sequence[Run]) -> Row:
    figures = {measure: _median(_values(measure, runs)) for measure in MEASURES}
    disagreed = sum(run.disagreed or 0 for run in runs)
    return Row(case.label, case.body, len(runs), figures, sum(run.failures for run in runs), disagreed)


def _runs_of(case: Case, runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.case == case]


def _values(measure: str, runs: Sequence[Run]) -> list[float]:
    return [value for run in runs if (value := getattr(run, measure)) is not None]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _text(goal: Goal) -> str:
    against = f" against {goal.against.label}" if goal.against else ""
    bounds = [f"at least {goal.at_least:g}"] if goal.at_least is not None else []
    bounds += [f"at most {goal.at_most:g}"] if goal.at_most is not None else []
    return f"{goal.of.label}{against}: {goal.measure}" + "".join(f", {bound}" for bound in bounds)
