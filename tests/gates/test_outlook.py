"""Forecasts come true where the traffic stays what it is, and what cannot be decided is said to be so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.checks import GateWatch, judge_one
from gates.gate import Budget, Gate
from gates.outlook import forecast, needs, slowest, stage_name, warnings
from gates.verdict import Verdict
from proxy.comparison import Comparison
from proxy.window import Window, merge
from tests.control import PLAN

ALARM, PASS = 0.001, 0.05
ERRORS = Gate("errors", "error_rate", 0.01)
AGAINST = replace(ERRORS, margin=0.5, against="champion")
SLOWER = Gate("slower", "latency", 0.0, margin=0.5, against="champion")


def block(failed: int, champion_failed: int = 0, seconds: float = 0.01, differing: int = 0) -> Window:
    """A hundred answers of each arm."""
    made = Window()
    for number in range(100):
        made.candidate.observe(500 if number < failed else 200, seconds)
        made.champion.observe(500 if number < champion_failed else 200, 0.01)
        made.agreement.observe(Comparison("number" if number < differing else "", rows=1))
    return made


def decided_after(gate: Gate, each: Window) -> tuple[Verdict, int]:
    """The verdict, and after how many of these blocks, looked at one by one."""
    watch, total = GateWatch.fresh(gate), Window()
    for number in range(1, 400):
        total = merge(total, each)
        watch = watch.looked(gate, total)
        verdict = judge_one(gate, watch, total, ALARM, PASS).verdict
        if verdict is not Verdict.INSUFFICIENT:
            return verdict, number
    return Verdict.INSUFFICIENT, 400


@pytest.mark.parametrize(
    ("gate", "each"),
    [
        (ERRORS, lambda: block(0)),
        (ERRORS, lambda: block(2)),
        (replace(ERRORS, limit=0.05), lambda: block(3)),
        (AGAINST, lambda: block(2, 1)),
        (AGAINST, lambda: block(3, 3)),
        (Gate("tail", "latency", 0.2, 0.9), lambda: block(0, seconds=0.01)),
        (Gate("same", "agreement", 0.95), lambda: block(0, differing=3)),
        (Gate("same", "agreement", 0.95), lambda: block(0, differing=7)),
        (SLOWER, lambda: block(0)),
        (SLOWER, lambda: block(0, seconds=0.02)),
        (replace(ERRORS, min_requests=3_000), lambda: block(0)),
    ],
)
def test_what_is_forecast_after_the_first_look_comes_true(gate: Gate, each: Callable[[], Window]) -> None:
    """Within a few blocks: a forecast takes the rates to go on evenly, and forgets that late faults weigh a little."""
    first = each()
    watch = GateWatch.fresh(gate).looked(gate, first)
    told = forecast(gate, watch, first, 10.0, ALARM, PASS)
    verdict, blocks = decided_after(gate, each())
    assert told.verdict is verdict
    assert told.requests is not None
    assert told.requests / 100 + 1 == pytest.approx(blocks, rel=0.15, abs=1.5)
    assert told.seconds == pytest.approx(told.requests / 10)


def test_a_rate_at_its_limit_has_no_verdict_in_sight() -> None:
    first = block(1)
    told = forecast(ERRORS, GateWatch.fresh(ERRORS).looked(ERRORS, first), first, 10.0, ALARM, PASS)
    assert (told.verdict, told.requests, told.seconds) == (Verdict.INSUFFICIENT, None, None)


@pytest.mark.parametrize("gate", [ERRORS, AGAINST, SLOWER])
def test_nothing_seen_is_nothing_forecast(gate: Gate) -> None:
    told = forecast(gate, GateWatch.fresh(gate), Window(), 0.0, ALARM, PASS)
    assert (told.verdict, told.requests, told.seconds) == (Verdict.INSUFFICIENT, None, None)


def test_where_most_copies_are_dropped_no_pass_is_in_sight() -> None:
    window, gate = Window(), replace(ERRORS, limit=0.05)
    for _ in range(2000):
        window.candidate_shadow.observe(200, 0.01)
    window.shadow.offered, window.shadow.sent = 2500, 2000
    watch = GateWatch.fresh(gate).looked(gate, window)
    assert forecast(gate, watch, window, 10.0, ALARM, PASS).verdict is Verdict.PASS
    window.shadow.offered, window.shadow.dropped = 4500, {"champion_slow": 2500}
    found = forecast(gate, watch, window, 10.0, ALARM, PASS)
    assert (found.verdict, found.requests) == (Verdict.INSUFFICIENT, None)


def test_what_is_decided_is_there() -> None:
    seen = block(60)
    told = forecast(ERRORS, GateWatch.fresh(ERRORS).looked(ERRORS, seen), seen, 10.0, ALARM, PASS)
    assert (told.verdict, told.requests, told.seconds) == (Verdict.FAIL, 0, 0.0)


@given(st.integers(1, 10_000))
def test_fewer_copies_bring_no_gate_sooner(copied: int) -> None:
    gates = (ERRORS, AGAINST, Gate("same", "agreement", 0.98))
    some, all_of_them = (list(needs(PLAN, gates, Budget(), share)) for share in (copied, 10_000))
    for less, more in zip(some, all_of_them, strict=True):
        assert less.answers == more.answers
        assert less.requests is not None
        assert more.requests is not None
        assert less.requests >= more.requests == more.answers


def test_a_perfect_candidate_passes_with_what_is_needed_and_not_with_one_less() -> None:
    (need, *_) = needs(PLAN, (ERRORS,), Budget(), 10_000)
    assert need.answers is not None
    for answers, verdict in ((need.answers, Verdict.PASS), (need.answers - 1, Verdict.INSUFFICIENT)):
        seen = Window()
        for _ in range(answers):
            seen.candidate.observe(200, 0.01)
        assert judge_one(ERRORS, GateWatch.fresh(ERRORS).looked(ERRORS, seen), seen, ALARM, PASS).verdict is verdict


def test_what_cannot_be_decided_is_named_with_its_reason() -> None:
    gates = (ERRORS, Gate("same", "agreement", 0.98, scope="bake"), SLOWER, replace(SLOWER, name="hair", margin=0.01))
    told = list(warnings(PLAN, gates, Budget(), 0))
    assert (
        "gate errors in the stage shadow cannot be decided: nothing is copied, so it sees nothing in this stage" in told
    )
    assert "gate same in the stage bake cannot be decided: nothing is copied, so it sees nothing in this stage" in told
    assert [line for line in told if line.startswith("gate slower in the stage 100 % cannot be decided: the champion")]
    assert "gate hair in the stage 5 % cannot be decided: no number of requests would do" in told
    assert not [line for line in told if line.startswith("gate errors in the stage 5 %")]


def test_what_takes_too_long_is_named_where_the_traffic_is_known() -> None:
    assert not list(warnings(PLAN, (ERRORS,), Budget(), 0))[1:]
    slow = list(warnings(PLAN, (ERRORS,), Budget(), 0, rate=0.01))
    assert "gate errors in the stage 5 % needs at least 6,740 requests of clients: 8 days at 0.01 a second" in slow


def test_the_slowest_is_where_the_plan_waits_longest() -> None:
    assert slowest(PLAN, (ERRORS, Gate("same", "agreement", 0.98)), Budget(), 0) == (
        "gate errors in the stage 5 %",
        6740,
    )
    assert slowest(PLAN, (), Budget(), 10_000) is None


def test_stages_have_names() -> None:
    assert [stage_name(PLAN, position) for position in range(5)] == ["shadow", "5 %", "50 %", "100 %", "bake"]
