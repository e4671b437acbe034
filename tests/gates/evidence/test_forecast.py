"""Forecasts against exact first passages and simulation."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from gates.evidence.forecast import (
    MOST,
    requests_to_fail,
    requests_to_pass,
    requests_to_show_no_worse,
    requests_to_show_worse,
)
from gates.evidence.mixture import log_mean
from gates.evidence.process import LATE, EProcess
from gates.evidence.rate import (
    factors_below,
    fewest_to_fail,
    log_evidence_above,
    log_evidence_below,
    most_to_pass,
)
from gates.evidence.ratio import factors_worse
from tests.gates.evidence.passage import passed_downwards, passed_upwards


@pytest.mark.parametrize(
    ("true", "bound", "alpha"),
    [(0.5, 0.01, 0.01), (0.2, 0.01, 0.01), (0.05, 0.01, 0.01), (0.02, 0.01, 0.01), (0.05, 0.02, 0.005)],
)
def test_by_the_forecast_most_faults_are_found(true: float, bound: float, alpha: float) -> None:
    forecast = requests_to_fail(true, bound, alpha)
    assert forecast is not None
    found = passed_upwards(true, partial(fewest_to_fail, bound=bound, alpha=alpha), forecast)
    assert 0.5 <= found[-1] <= 0.75


@pytest.mark.parametrize(("true", "bound"), [(0.005, 0.02), (0.01, 0.02), (0.001, 0.01)])
def test_by_the_forecast_most_good_candidates_have_passed(true: float, bound: float) -> None:
    forecast = requests_to_pass(true, bound, 0.05)
    assert forecast is not None
    passed = passed_downwards(true, partial(most_to_pass, bound=bound, alpha=0.05), forecast)
    assert 0.5 <= passed[-1] <= 0.75


def test_a_sure_thing_is_forecast_exactly() -> None:
    forecast = requests_to_fail(1.0, 0.01, 0.01)
    assert forecast is not None
    assert log_evidence_above(forecast, forecast, 0.01) >= math.log(100)
    assert log_evidence_above(forecast - 1, forecast - 1, 0.01) < math.log(100)
    clean = requests_to_pass(0.0, 0.02, 0.05)
    assert clean is not None
    assert log_evidence_below(0, clean, 0.02) >= math.log(20) > log_evidence_below(0, clean - 1, 0.02)


def test_a_worse_candidate_is_forecast_near_the_median() -> None:
    """Errors of 5 % against the champion's 0.5 %, at a share of a tenth."""
    rng = np.random.default_rng(8)
    events, champion_events = rng.binomial(10, 0.05, (500, 60)), rng.binomial(90, 0.005, (500, 60))
    evidence = log_mean(np.cumsum(factors_worse(events, 10, champion_events, 90, 0.0), axis=1))
    shown = 10 * (1 + np.argmax(evidence >= math.log(100), axis=1))
    forecast = requests_to_show_worse(0.05, 0.005, 0.1, 0.0, 0.01)
    assert forecast is not None
    assert abs(forecast - float(np.median(shown))) <= 10 + 0.15 * forecast


@pytest.mark.parametrize(("events", "trials"), [(0, 100), (3, 400), (40, 1000)])
def test_what_was_seen_is_not_asked_for_again(events: int, trials: int) -> None:
    seen = factors_below(events, trials, 0.02)
    more = requests_to_pass(0.01, 0.02, 0.05, seen)
    assert more is not None
    expected = log_mean(seen + factors_below(0.01 * more, more, 0.02))
    assert expected >= math.log(20) > log_mean(seen + factors_below(0.01 * (more - 1), more - 1, 0.02))
    assert requests_to_pass(0.01, 0.02, 0.05, factors_below(0, 1000, 0.02)) == 0


def test_a_process_that_watches_for_late_faults_needs_a_little_more() -> None:
    plain = requests_to_fail(0.05, 0.01, 0.01)
    assert plain == requests_to_fail(0.05, 0.01, 0.01, EProcess.fresh(late=0.0).logs)
    watching = requests_to_fail(0.05, 0.01, 0.01, EProcess.fresh().logs)
    assert watching == requests_to_fail(0.05, 0.01, 0.01 * (1 - LATE))
    assert plain is not None
    assert watching is not None
    assert plain < watching


def test_what_cannot_be_decided_is_named() -> None:
    assert requests_to_fail(0.01, 0.01, 0.01) is None
    assert requests_to_fail(0.005, 0.01, 0.01) is None
    assert requests_to_pass(0.02, 0.02, 0.05) is None
    assert requests_to_show_worse(0.005, 0.005, 0.1, 0.0, 0.01) is None
    assert requests_to_show_no_worse(0.005, 0.005, 0.1, 0.0, 0.05) is None
    assert requests_to_show_no_worse(0.0, 0.0, 0.1, 0.5, 0.05) is None


def test_more_is_needed_the_nearer_the_bound_and_the_smaller_the_alpha() -> None:
    fails = [requests_to_fail(rate, 0.01, 0.01) or MOST for rate in (0.5, 0.1, 0.03, 0.02, 0.012)]
    assert fails == sorted(fails)
    assert (requests_to_pass(0.005, 0.01, 0.001) or 0) > (requests_to_pass(0.005, 0.01, 0.05) or MOST)
    equal = requests_to_show_no_worse(0.005, 0.005, 0.1, 0.5, 0.05)
    assert equal is not None
    assert (requests_to_show_no_worse(0.005, 0.005, 0.1, 0.2, 0.05) or 0) > equal


@pytest.mark.parametrize(
    "forecast",
    [
        lambda: requests_to_fail(1.5, 0.01, 0.01),
        lambda: requests_to_fail(0.5, 0.0, 0.01),
        lambda: requests_to_pass(0.5, 0.01, 1.0),
        lambda: requests_to_show_worse(0.5, 0.1, 1.0, 0.0, 0.01),
        lambda: requests_to_show_worse(0.5, -0.1, 0.5, 0.0, 0.01),
    ],
)
def test_assumptions_that_cannot_be_are_refused(forecast: partial[int]) -> None:
    with pytest.raises(ValueError, match="not between"):
        forecast()
