"""Rules over time series."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from gates.promotion.rule import Bounds
from gates.promotion.series import Series, SeriesGate
from gates.verdict import GateResult, Verdict

values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


def series(*points: float, step: float = 60.0, name: str = "x") -> Series:
    return Series.of({"__name__": name}, [(number * step, value) for number, value in enumerate(points)])


def judge(gate: SeriesGate, *answer: Series) -> GateResult:
    return gate.judge(answer, "Prometheus")


@given(values, st.floats(-1e6, 1e6))
def test_without_a_time_the_newest_value_decides(points: list[float], most: float) -> None:
    gate = SeriesGate(name="g", query="q", bounds=Bounds(most=most))
    found = judge(gate, series(*points))
    assert (found.verdict, found.value) == (Verdict.PASS if points[-1] <= most else Verdict.FAIL, points[-1])


@given(values, st.integers(0, 20))
def test_a_sustained_breach_has_to_last(points: list[float], minutes: int) -> None:
    gate = SeriesGate(name="g", query="q", bounds=Bounds(most=0.0), sustained=600.0)
    run = [*points, *[1.0] * (minutes + 1)] if points[-1] <= 0 else [-1.0, *[1.0] * (minutes + 1)]
    found = judge(gate, series(*run))
    assert found.verdict is (Verdict.FAIL if minutes >= 9 else Verdict.INSUFFICIENT)
    assert judge(gate, series(*run, -1.0)).verdict is Verdict.PASS


@given(st.floats(0.1, 1e3), st.floats(-0.3, 0.3), st.lists(st.integers(1, 119), max_size=20, unique=True))
def test_a_trend_is_told_through_outliers(level: float, change: float, outliers: list[int]) -> None:
    points = [level * (1 + change * (number / 120 - 0.5)) for number in range(121)]
    for number in outliers:
        points[number] *= 100
    gate = SeriesGate(name="g", query="q", trend="not_falling", over=7200.0, tolerance=0.05)
    verdict = judge(gate, series(*points)).verdict
    if change > -0.03:
        assert verdict is Verdict.PASS
    elif change < -0.08:
        assert verdict is Verdict.FAIL


def test_not_rising_is_its_mirror() -> None:
    gate = SeriesGate(name="g", query="q", trend="not_rising", over=1200.0)
    assert judge(gate, series(*range(10, 31))).verdict is Verdict.FAIL
    assert judge(gate, series(*range(30, 9, -1))).verdict is Verdict.PASS


def test_a_flight_from_the_baseline_fails_below_the_limit() -> None:
    gate = SeriesGate(name="g", query="q", bounds=Bounds(most=2.0), runaway=3.0, over=1200.0)
    assert judge(gate, series(*[0.5] * 20, 1.4)).verdict is Verdict.PASS
    found = judge(gate, series(*[0.5] * 20, 1.6))
    assert (found.verdict, found.limit) == (Verdict.FAIL, 1.5)
    assert judge(gate, series(*[1.9] * 20, 2.1)).limit == 2.0


def test_a_baseline_of_nothing_is_none() -> None:
    """No multiple of zero says what is too much."""
    gate = SeriesGate(name="g", query="q", runaway=3.0, over=1200.0)
    assert judge(gate, series(*[0.0] * 20, 5.0)).verdict is Verdict.INSUFFICIENT
    assert judge(gate, series(*[0.0] * 21)).verdict is Verdict.PASS


def test_too_few_points_are_no_trend_and_no_baseline() -> None:
    trend = SeriesGate(name="g", query="q", trend="not_falling", over=7200.0)
    assert judge(trend, series(5, 4, 3)).verdict is Verdict.INSUFFICIENT
    assert judge(trend, series(*[5.0] * 30)).verdict is Verdict.INSUFFICIENT, "half an hour of two"
    runaway = SeriesGate(name="g", query="q", bounds=Bounds(most=2.0), runaway=3.0, over=3600.0)
    assert judge(runaway, series(0.5, 0.5)).verdict is Verdict.INSUFFICIENT
    assert judge(runaway, series(0.5, 2.5)).verdict is Verdict.FAIL, "over its limit, whatever the baseline"


def test_no_data_and_no_number_are_the_same() -> None:
    gate = SeriesGate(name="g", query="q", bounds=Bounds(most=1.0))
    for answer in ((), (series(),), (series(math.nan),), (series(math.inf, math.nan),)):
        assert judge(gate, *answer).verdict is Verdict.INSUFFICIENT


def test_of_many_series_the_worst_is_told() -> None:
    gate = SeriesGate(name="g", query="q", bounds=Bounds(least=0.2))
    found = judge(gate, series(0.5, name="gpu0"), series(0.1, name="gpu1"), series(0.15, name="gpu2"))
    assert (found.verdict, found.value) == (Verdict.FAIL, 0.1)
    assert found.reason.startswith("gpu1: ")
    assert len(found.details) == 3
