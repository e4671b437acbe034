"""Staging rules over what a load has shown."""

from __future__ import annotations

import pytest

from gates.promotion.rule import Bounds
from gates.promotion.staging import LoadGate, Measure, Measurements, judge
from gates.verdict import Verdict

SEEN = Measurements(1000, 1, 30.0, {0.95: 0.02}, cold_start=4.6, loading=0.4)


@pytest.mark.parametrize(
    ("measure", "expected", "told"),
    [
        ("loading", Verdict.PASS, "cold start of the model 400 ms, of the server with its software 4.6 s: at most 2 s"),
        ("cold_start", Verdict.FAIL, "cold start 4.6 s, of the model alone 400 ms: at most 2 s asked"),
    ],
)
def test_a_start_is_judged_by_one_part_and_both_are_told(measure: Measure, expected: Verdict, told: str) -> None:
    """The serving software's own start says nothing about the version."""
    gate = LoadGate(name="cold_start", measure=measure, bounds=Bounds(most=2.0, unit="s"))
    (result,) = judge([gate], SEEN, {}, "")
    assert result.verdict is expected
    assert result.reason.startswith(told)


@pytest.mark.parametrize("measure", ["cold_start", "loading", "memory", "cpu", "logging"])
def test_what_was_not_measured_is_neither_pass_nor_fail(measure: Measure) -> None:
    (result,) = judge([LoadGate(name="g", measure=measure, bounds=Bounds(most=2.0))], Measurements(1000), {}, "")
    assert result.verdict is Verdict.INSUFFICIENT


def test_few_requests_say_nothing_of_rates() -> None:
    few = Measurements(99, 99, 30.0, {0.95: 9.0})
    gates = [
        LoadGate(name="p95", measure="latency", bounds=Bounds(most=0.025)),
        LoadGate(name="errors", measure="error_rate", bounds=Bounds(most=0.001)),
    ]
    assert {result.verdict for result in judge(gates, few, {}, "")} == {Verdict.INSUFFICIENT}
