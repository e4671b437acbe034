"""A rate against the champion's: textbook formula, exact means under the null, common outages."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import binom

from gates.evidence.mixture import Vector, log_mean
from gates.evidence.ratio import factors_no_worse, factors_worse

Factors = Callable[[int, int, int, int, float], Vector]
ARMS = st.tuples(st.integers(0, 10**6), st.integers(1, 10**9), st.integers(0, 10**6), st.integers(1, 10**9))


def textbook(tick: tuple[int, int, int, int], margin: float, ratios: list[float]) -> list[float]:
    """Lindon & Malek's product, one event after the other."""
    events, trials, champion_events, champion_trials = tick
    rho = trials / (trials + champion_trials)

    def theta(ratio: float) -> float:
        return rho * ratio / (rho * ratio + 1 - rho)

    base = theta(1 + margin)
    return [
        events * math.log(theta(r) / base) + champion_events * math.log((1 - theta(r)) / (1 - base)) for r in ratios
    ]


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_agrees_with_the_textbook_over_steps_of_changing_shares(margin: float) -> None:
    ticks = [(3, 50, 20, 4950), (10, 500, 22, 4500), (4, 2500, 3, 2500)]
    worse = [(1 + margin) * 100 ** (k / 32) for k in range(1, 33)]
    no_worse = [(1 + margin) * 100 ** (k / 32 - 1) for k in range(32)]
    for factors, ratios in ((factors_worse, worse), (factors_no_worse, no_worse)):
        expected = logsumexp(np.sum([textbook(tick, margin, ratios) for tick in ticks], axis=0)) - math.log(32)
        ours = log_mean(np.sum([factors(*tick, margin) for tick in ticks], axis=0))
        assert ours == pytest.approx(expected, abs=1e-9)


def mean(factors: Factors, n: int, m: int, rate: float, champion_rate: float, margin: float) -> float:
    """The expectation of one tick's evidence, over every outcome."""
    total = 0.0
    for events in range(n + 1):
        for champion_events in range(m + 1):
            chance = binom.pmf(events, n, rate) * binom.pmf(champion_events, m, champion_rate)
            total += chance * math.exp(float(log_mean(factors(events, n, champion_events, m, margin))))
    return total


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 19), (8, 8), (15, 3)])
@pytest.mark.parametrize("champion_rate", [0.01, 0.3])
@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_the_mean_under_the_null_is_at_most_one(n: int, m: int, champion_rate: float, margin: float) -> None:
    edge = (1 + margin) * champion_rate
    assert 0 < mean(factors_worse, n, m, edge, champion_rate, margin) <= 1
    assert 0 < mean(factors_no_worse, n, m, edge, champion_rate, margin) <= 1
    assert mean(factors_worse, n, m, edge / 4, champion_rate, margin) <= 1
    assert mean(factors_no_worse, n, m, min(2 * edge, 1), champion_rate, margin) <= 1


def test_the_mean_is_nearly_one_where_events_are_rare() -> None:
    """The bound is not loose: what is lost is of second order in the rates."""
    assert mean(factors_worse, 40, 10, 0.001, 0.001, 0.0) == pytest.approx(1, abs=0.01)


@given(ARMS, st.floats(0, 3))
def test_an_event_of_the_candidate_speaks_against_it_and_one_of_the_champion_for_it(
    tick: tuple[int, int, int, int], margin: float
) -> None:
    events, n, champion_events, m = tick
    worse, no_worse = (log_mean(f(*tick, margin)) for f in (factors_worse, factors_no_worse))
    assert np.isfinite(worse)
    assert np.isfinite(no_worse)
    slack = 1e-12 * (events + champion_events)
    assert log_mean(factors_worse(events + 1, n, champion_events, m, margin)) >= worse - slack
    assert log_mean(factors_worse(events, n, champion_events + 1, m, margin)) <= worse + slack
    assert log_mean(factors_no_worse(events + 1, n, champion_events, m, margin)) <= no_worse + slack
    assert log_mean(factors_no_worse(events, n, champion_events + 1, m, margin)) >= no_worse - slack


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0, 3))
def test_a_silent_arm_leaves_nothing_to_compare(events: int, trials: int, margin: float) -> None:
    for factors in (factors_worse, factors_no_worse):
        assert not factors(events, trials, 0, 0, margin).any()
        assert not factors(0, 0, events, trials, margin).any()


def test_a_champion_without_a_single_error_convicts_a_failing_candidate() -> None:
    assert log_mean(factors_worse(6, 100, 0, 1900, 0.0)) > math.log(100)
    assert log_mean(factors_no_worse(0, 10**9, 0, 10**9, 0.0)) == 0


def test_shares_of_every_size_are_told_apart() -> None:
    """An error of the candidate weighs the more, the smaller its share."""
    weights = [float(log_mean(factors_worse(3, 100, 3, 100 * other, 0.0))) for other in (1, 10, 100, 10**6)]
    assert weights == sorted(weights)


@pytest.mark.parametrize("margin", [-0.01, math.inf, math.nan])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    for factors in (factors_worse, factors_no_worse):
        with pytest.raises(ValueError, match="margin"):
            factors(0, 1, 0, 1, margin)
