"""Gates over time series: a PromQL value against a limit, sustained, its trend, and its flight from a baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Literal

from gates.promotion.rule import UNBOUNDED, Bounds, Rule, amount
from gates.verdict import GateResult, Verdict

Trend = Literal["not_falling", "not_rising"]
FEWEST_POINTS = 5
"""A trend or a baseline of fewer points is a guess."""
_COVERED = 0.9
"""The part of a span that points must cover to speak for it: scrapes are not on the clock."""


@dataclass(frozen=True, slots=True)
class Point:
    """One sample: wall time in seconds since the epoch, and its value."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a query's answer, oldest point first; points that are not finite are no data and are left out."""

    name: str
    points: tuple[Point, ...]

    @classmethod
    def of(cls, labels: Mapping[str, str], points: Sequence[tuple[float, float]]) -> Series:
        shown = {key: value for key, value in labels.items() if key != "__name__"}
        inner = ", ".join(f"{key}={value}" for key, value in sorted(shown.items()))
        name = labels.get("__name__", "") + (f"{{{inner}}}" if inner else "")
        return cls(name, tuple(Point(at, value) for at, value in points if math.isfinite(value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesGate(Rule):
    """The values of `query` within bounds.

    With `sustained` (seconds) it FAILs only what was outside at every point of that time. With a `trend` the values of
    the last `over` seconds may not fall (rise) by more than the share `tolerance` of their median. With `runaway` the
    newest may be at most that many times the median of the `over` seconds before it. Where the query gives several
    series, each is judged and the worst is told."""

    query: str
    bounds: Bounds = UNBOUNDED
    sustained: float = 0.0
    trend: Trend | None = None
    over: float = 0.0
    tolerance: float = 0.05
    runaway: float | None = None

    def __post_init__(self) -> None:
        Rule.__post_init__(self)
        if (self.trend or self.runaway) and self.over <= 0:
            raise ValueError(f"gate {self.name}: a trend or a runaway needs the time that it is looked at over")

    @property
    def span(self) -> float:
        """The seconds of history that it asks for; 0 where the newest value is enough."""
        return max(self.sustained, self.over)

    def judge(self, answer: Sequence[Series], source: str) -> GateResult:
        series = [one for one in answer if one.points]
        told = f"{source}: {self.query}"
        if not series:
            return self.lacking(self.bounds.limit, "no data", told)
        judged = [(one, self._one(one)) for one in series]
        worst, look = max(judged, key=lambda pair: pair[1].badness)
        label = f"{worst.name}: " if len(series) > 1 else ""
        details = [f"{one.name}: {look.verdict}: {look.reason}" for one, look in judged] if len(judged) > 1 else []
        points = sum(len(one.points) for one in series)
        return self.result(look.verdict, look.value, look.limit, label + look.reason, told, details, points)

    def _one(self, series: Series) -> _Look:
        looks = [self._against_bounds(series.points)]
        if self.trend is not None:
            looks.append(self._trend(series.points, self.trend))
        if self.runaway is not None:
            looks.append(self._baseline(series.points, self.runaway))
        return max((look for look in looks if look is not None), key=lambda look: look.badness)

    def _against_bounds(self, points: Sequence[Point]) -> _Look | None:
        bounds, newest = self.bounds, points[-1]
        if bounds.least is None and bounds.most is None:
            return None
        told = amount(newest.value, bounds.unit)
        if bounds.holds(newest.value):
            return _Look(Verdict.PASS, newest.value, bounds.limit, f"{told}: {bounds} asked")
        if not self.sustained:
            return _Look(Verdict.FAIL, newest.value, bounds.limit, f"{told}: {bounds} asked")
        since = _outside_since(points, bounds)
        lasted = newest.at - since
        reason = f"{told}, outside for {lasted:.0f} s: {bounds} asked, and {self.sustained:g} s outside fail"
        verdict = Verdict.FAIL if lasted >= self.sustained * _COVERED else Verdict.INSUFFICIENT
        return _Look(verdict, newest.value, bounds.limit, reason)

    def _trend(self, points: Sequence[Point], trend: Trend) -> _Look:
        points = [point for point in points if point.at >= points[-1].at - self.over]
        newest, limit = points[-1].value, -self.tolerance if trend == "not_falling" else self.tolerance
        if (short := self._too_short(points)) is not None:
            return _Look(Verdict.INSUFFICIENT, newest, limit, f"{short} to tell a trend over {self.over:g} s by")
        change = _change(points)
        moved = f"{'rises' if change > 0 else 'falls'} by {amount(abs(change), '%')} over {self.over:g} s"
        wrong = change < limit if trend == "not_falling" else change > limit
        reason = f"{amount(newest, self.bounds.unit)}, {moved}: {trend.replace('_', ' ')} by more than"
        verdict = Verdict.FAIL if wrong else Verdict.PASS
        return _Look(verdict, change, limit, f"{reason} {amount(self.tolerance, '%')} asked")

    def _baseline(self, points: Sequence[Point], factor: float) -> _Look:
        *before, newest = points
        if (short := self._too_short(before)) is not None:
            return _Look(Verdict.INSUFFICIENT, newest.value, self.bounds.limit, f"{short} to have a baseline by")
        baseline = median(point.value for point in before)
        limit = factor * baseline
        told = f"{amount(newest.value, self.bounds.unit)}, the baseline's {amount(baseline, self.bounds.unit)}"
        if newest.value > limit and baseline <= 0:
            why = f"{told}: no multiple of that says anything"
            return _Look(Verdict.INSUFFICIENT, newest.value, limit, why)
        verdict = Verdict.PASS if newest.value <= limit else Verdict.FAIL
        return _Look(verdict, newest.value, limit, f"{told}: at most {factor:g} times that asked")

    def _too_short(self, points: Sequence[Point]) -> str | None:
        if len(points) < FEWEST_POINTS:
            return f"{len(points)} points are too few"
        covered = points[-1].at - points[0].at
        if covered < self.over / 2:
            return f"points of {covered:.0f} s are too few"
        return None


@dataclass(frozen=True, slots=True)
class _Look:
    verdict: Verdict
    value: float
    limit: float
    reason: str

    @property
    def badness(self) -> tuple[int, float]:
        """What fails is worse than what is not known, and that is worse than what passes."""
        rank = {Verdict.PASS: 0, Verdict.INSUFFICIENT: 1, Verdict.FAIL: 2}[self.verdict]
        return (rank, abs(self.value - self.limit) if rank else -abs(self.value - self.limit))


def _outside_since(points: Sequence[Point], bounds: Bounds) -> float:
    """When the run of points outside the bounds began that lasts to the newest."""
    since = points[-1].at
    for point in reversed(points):
        if bounds.holds(point.value):
            break
        since = point.at
    return since


def _change(points: Sequence[Point]) -> float:
    """The change from end to end as a share of the median, by the median of all slopes (Theil 1950, Sen 1968):
    outliers, up to 29 % of the points, do not bend it."""
    slopes = [(b.value - a.value) / (b.at - a.at) for a, b in combinations(_thinned(points), 2) if b.at > a.at]
    level = abs(median(point.value for point in points))
    fall = median(slopes) * (points[-1].at - points[0].at)
    return fall / level if level else math.copysign(math.inf, fall) if fall else 0.0


def _thinned(points: Sequence[Point], most: int = 200) -> Sequence[Point]:
    """Evenly fewer points, as the slopes are of all pairs."""
    step = math.ceil(len(points) / most)
    return points[:: max(step, 1)]
