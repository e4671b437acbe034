"""Evidence that notices late faults: against the sum written out, exact means, and restarts."""

from __future__ import annotations

import math
from itertools import product

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.evidence.mixture import log_mean
from gates.evidence.process import HALF_SPENT, LATE, EProcess, advance, begin
from gates.evidence.rate import factors_above, log_evidence_above

TICKS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 400)), max_size=12)
BOUND = 0.02


def run(ticks: list[tuple[int, int]], bound: float = BOUND, late: float = LATE) -> EProcess:
    process = EProcess.fresh(late)
    for events, clean in ticks:
        process = process.advanced(events + clean, factors_above(events, events + clean, bound))
    return process


@given(TICKS)
def test_is_the_mean_over_every_tick_at_which_a_fault_may_have_begun(ticks: list[tuple[int, int]]) -> None:
    ends = np.cumsum([0, *(events + clean for events, clean in ticks)])
    unspent = HALF_SPENT / (HALF_SPENT + ends)
    total = (1 - LATE) * np.exp(log_evidence_above(*_sum(ticks), BOUND))
    for start in range(len(ticks)):
        weight = LATE * (unspent[start] - unspent[start + 1])
        total += weight * np.exp(log_evidence_above(*_sum(ticks[start:]), BOUND))
    assert run(ticks).log_evidence == pytest.approx(math.log(total), rel=1e-9, abs=1e-9)


def _sum(ticks: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(events for events, _ in ticks), sum(events + clean for events, clean in ticks)


@given(TICKS)
def test_without_late_faults_it_is_the_evidence_of_the_totals(ticks: list[tuple[int, int]]) -> None:
    assert run(ticks, late=0.0).log_evidence == pytest.approx(log_evidence_above(*_sum(ticks), BOUND), abs=1e-9)


@pytest.mark.parametrize("bound", [0.05, 0.4])
@pytest.mark.parametrize("tick", [1, 3])
def test_the_mean_under_the_null_is_at_most_one(bound: float, tick: int) -> None:
    """Over every possible course of nine requests, looked at after each tick."""
    courses = list(product([0, 1], repeat=9))
    for length in range(tick, 10, tick):
        mean = 0.0
        for course in courses:
            ticks = [(sum(course[i : i + tick]), tick - sum(course[i : i + tick])) for i in range(0, length, tick)]
            chance = bound ** sum(course) * (1 - bound) ** (9 - sum(course))
            mean += chance * math.exp(run(ticks, bound).log_evidence)
        assert 0.5 < mean <= 1 + 1e-12


def test_the_weights_never_sum_to_more_than_one() -> None:
    """With factors of 1, all that is left of the evidence is the weight that was spent."""
    logs, seen = begin(), 0
    for trials in (1, 10, 0, 10**4, 10**6, 10**9):
        logs = advance(logs, seen, trials, np.zeros(32))
        seen += trials
        assert float(np.exp(logs[0])) == pytest.approx(1 - LATE * HALF_SPENT / (HALF_SPENT + seen), abs=1e-12)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8))
def test_how_the_trials_are_cut_changes_no_weight(cuts: list[int]) -> None:
    logs, seen = begin(), 0
    for trials in cuts:
        logs = advance(logs, seen, trials, np.zeros(32))
        seen += trials
    assert logs == pytest.approx(advance(begin(), 0, seen, np.zeros(32)), abs=1e-12)


@given(TICKS, st.integers(0, 12))
def test_a_restart_changes_nothing(ticks: list[tuple[int, int]], at: int) -> None:
    stopped = run(ticks[:at])
    resumed = msgspec.json.decode(msgspec.json.encode(stopped), type=EProcess)
    assert resumed == stopped
    for events, clean in ticks[at:]:
        resumed = resumed.advanced(events + clean, factors_above(events, events + clean, BOUND))
    assert resumed == run(ticks)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=6), st.floats(1e-6, 0.9))
def test_is_finite_whatever_was_counted(ticks: list[tuple[int, int]], bound: float) -> None:
    process = run(ticks, bound)
    assert math.isfinite(process.log_evidence)
    assert all(math.isfinite(log) for log in process.logs)


def test_many_rollouts_at_once_are_judged_like_each_alone() -> None:
    events = np.array([[0, 3, 1], [9, 0, 0]])
    logs = np.tile(begin(), (2, 1))
    for tick in range(3):
        logs = advance(logs, tick * 10, 10, factors_above(events[:, tick], 10, BOUND))
    alone = [run([(int(hits), int(10 - hits)) for hits in row]).log_evidence for row in events]
    assert log_mean(logs) == pytest.approx(alone, abs=1e-12)


def test_a_late_fault_is_not_outweighed_by_a_good_past() -> None:
    past, fault = [(0, 50)] * 400, [(5, 45)] * 4
    assert run(past + fault).log_evidence > math.log(100)
    assert log_evidence_above(*_sum(past + fault), BOUND) < 0


@pytest.mark.parametrize("late", [-0.1, 1.0, math.nan])
def test_a_part_that_is_none_is_refused(late: float) -> None:
    with pytest.raises(ValueError, match="late"):
        EProcess.fresh(late)


def test_a_tick_cannot_take_trials_back() -> None:
    with pytest.raises(ValueError, match="-1 trials"):
        EProcess.fresh().advanced(-1, np.zeros(32))
