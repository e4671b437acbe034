"""From runs to figures: medians of cases, medians of ratios of neighbouring runs, and whether goals are met."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from loadtests.bench.runs import Run
from loadtests.bench.scenarios import Case, Goal, Scenario


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a run: its title with the unit, how it is written, and how it is read; None where there is none."""

    title: str
    form: str
    of: Callable[[Run], float | None]

    def write(self, value: float | None) -> str:
        return "" if value is None else self.form.format(value)


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100


MEASURES = {
    "rate": Measure("requests/s", "{:,.0f}", lambda run: run.load.requests / run.load.seconds),
    "p50": Measure("p50 ms", "{:.2f}", lambda run: run.load.p50 * 1e3),
    "p99": Measure("p99 ms", "{:.2f}", lambda run: run.load.p99 * 1e3),
    "p999": Measure("p99.9 ms", "{:.2f}", lambda run: run.load.p999 * 1e3),
    "cpu": Measure("CPU µs a request", "{:.1f}", lambda run: run.cpu_micros),
    "busy": Measure("core used", "{:.0f} %", lambda run: _percent(run.busy)),
    "rss": Measure("RSS MiB", "{:.0f}", lambda run: run.rss_peak / 2**20 if run.rss_peak else None),
    "ready": Measure("ready s", "{:.2f}", lambda run: run.ready_seconds),
    "copied": Measure("copied", "{:.0f} %", lambda run: _percent(run.copied)),
    "compared": Measure("compared", "{:.0f} %", lambda run: _percent(run.compared)),
    "failures": Measure("failures", "{:,.0f}", lambda run: run.load.failures),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One case over all its runs: medians by measure, but failures added up. None where nothing was measured.
    `disagreed` is how many answers the proxy took for different, which none of them are."""

    label: str
    body: int
    runs: int
    figures: dict[str, float | None]
    disagreed: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A goal and what came of it; `met` is None where the goal sets no bound. `low` and `high` are the extremes of
    as many values."""

    text: str
    value: float
    low: float
    high: float
    values: int
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
        return [finding for goal in self.scenario.goals if (finding := judged(goal, self.runs)) is not None]


def judged(goal: Goal, runs: Sequence[Run]) -> Finding | None:
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
            above, below = MEASURES[measure].of(run), MEASURES[measure].of(neighbour)
            if above is not None and below:
                found.append(above / below)
    return found


def _row(case: Case, runs: Sequence[Run]) -> Row:
    figures = {measure: _median(_values(measure, runs)) for measure in MEASURES}
    figures["failures"] = sum(run.load.failures for run in runs)
    return Row(case.label, case.body, len(runs), figures, sum(run.disagreed or 0 for run in runs))


def _runs_of(case: Case, runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.case == case]


def _values(measure: str, runs: Sequence[Run]) -> list[float]:
    return [value for run in runs if (value := MEASURES[measure].of(run)) is not None]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _text(goal: Goal) -> str:
    """`penstock against envoy, requests/s: at least 1`"""
    against = f" against {goal.against.label}" if goal.against else ""
    bounds = [f"at least {goal.at_least:g}"] if goal.at_least is not None else []
    bounds += [f"at most {goal.at_most:g}"] if goal.at_most is not None else []
    title = MEASURES[goal.measure].title
    return f"{goal.of.label}{against}, {title}{': ' if bounds else ''}{' and '.join(bounds)}"
