"""A rate against its bound: exact arithmetic, exact crossing probabilities, and the laws that hold for any counts."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import partial

import numpy as np
import pytest
import ville
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from gates.evidence import rate
from gates.evidence.rate import (
    LARGEST_RATE,
    factors_above,
    factors_below,
    fewest_to_fail,
    log_evidence_above,
    log_evidence_below,
    most_to_pass,
)
from tests.gates.evidence.passage import median, passed_downwards, passed_upwards

BOUNDS = st.floats(1e-6, 0.9)
HUGE = 10**9


def exact(events: int, trials: int, bound: float, rates: list[Decimal]) -> float:
    """log of the mean of the likelihood ratios, term by term in 60 digits."""
    with localcontext(prec=60):
        edge = Decimal(bound)
        ratios = [(p / edge) ** events * ((1 - p) / (1 - edge)) ** (trials - events) for p in rates]
        return float((sum(ratios, Decimal(0)) / len(ratios)).ln())


def log_spaced(low: float, high: float, steps: range) -> list[Decimal]:
    with localcontext(prec=60):
        ratio = Decimal(high) / Decimal(low)
        return [Decimal(low) * (ratio.ln() * step / 32).exp() for step in steps]


@pytest.mark.parametrize(
    ("events", "trials", "bound"), [(0, 0, 0.01), (1, 1, 0.01), (0, 169, 0.02), (7, 600, 0.01), (450, 9000, 0.05)]
)
def test_agrees_with_exact_arithmetic(events: int, trials: int, bound: float) -> None:
    above = exact(events, trials, bound, log_spaced(bound, 0.95, range(1, 33)))
    below = exact(events, trials, bound, log_spaced(bound / 200, bound, range(32)))
    assert log_evidence_above(events, trials, bound) == pytest.approx(above, abs=1e-9)
    assert log_evidence_below(events, trials, bound) == pytest.approx(below, abs=1e-9)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.001, 0.9))
def test_the_ratio_agrees_with_another_library_under_its_own_mixture(events: int, clean: int, bound: float) -> None:
    """`ville` mixes over a uniform prior in closed form; Gauss-Legendre nodes make our ratios do the same."""
    nodes, weights = np.polynomial.legendre.leggauss(100)
    prior = (nodes + 1) / 2
    factors = rate._factors(events, events + clean, *rate._log_ratios(prior, bound))
    theirs = ville.BernoulliTest(bound).fit([1] * events + [0] * clean + [0] * (events + clean == 0))
    if events + clean:
        ours = np.log(np.average(np.exp(factors - factors.max()), weights=weights)) + factors.max()
        assert ours == pytest.approx(theirs.log_e_values_[-1], abs=1e-9)


@pytest.mark.parametrize("bound", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("trials", [1, 5, 40])
def test_the_mean_under_the_null_is_one_at_the_bound_and_less_beyond(bound: float, trials: int) -> None:
    counts = np.arange(trials + 1)
    above = np.array([math.exp(log_evidence_above(int(events), trials, bound)) for events in counts])
    below = np.array([math.exp(log_evidence_below(int(events), trials, bound)) for events in counts])
    assert binom.pmf(counts, trials, bound) @ above == pytest.approx(1, abs=1e-9)
    assert binom.pmf(counts, trials, bound) @ below == pytest.approx(1, abs=1e-9)
    assert binom.pmf(counts, trials, bound / 3) @ above < 1
    assert binom.pmf(counts, trials, bound * 1.5) @ below < 1


@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_looking_after_every_request_errs_no_more_often_than_declared(alpha: float) -> None:
    failed = passed_upwards(0.05, partial(fewest_to_fail, bound=0.05, alpha=alpha), 1500)
    passed = passed_downwards(0.05, partial(most_to_pass, bound=0.05, alpha=alpha), 1500)
    assert 0.3 * alpha < failed[-1] <= alpha
    assert 0.2 * alpha < passed[-1] <= alpha


def test_go_takes_as_many_requests_as_it_must() -> None:
    """Agreement of at least 98 % at alpha 5 %: the clean run, and the median at a true 99 %."""
    most = partial(most_to_pass, bound=0.02, alpha=0.05)
    clean = next(n for n in range(1, 400) if most(n) is not None)
    assert 165 <= clean <= 175
    assert 1040 <= median(passed_downwards(0.01, most, 1600)) <= 1130


@pytest.mark.parametrize(
    ("true", "bound", "expected", "slack"),
    [(1.0, 0.01, 2, 0), (0.5, 0.01, 4, 1), (0.2, 0.01, 13, 2), (0.05, 0.01, 120, 10), (0.05, 0.02, 338, 30)],
)
def test_a_fault_takes_as_few_requests_as_promised(true: float, bound: float, expected: int, slack: int) -> None:
    passed = passed_upwards(true, partial(fewest_to_fail, bound=bound, alpha=0.01), 600)
    assert abs(median(passed) - expected) <= slack


@given(st.integers(0, HUGE), st.integers(0, HUGE), BOUNDS)
def test_an_event_speaks_against_and_a_clean_trial_for_the_candidate(events: int, clean: int, bound: float) -> None:
    trials = events + clean
    above, below = log_evidence_above(events, trials, bound), log_evidence_below(events, trials, bound)
    assert math.isfinite(above)
    assert math.isfinite(below)
    slack = 1e-12 * trials  # of terms as large as the counts
    assert log_evidence_above(events + 1, trials + 1, bound) > above - slack
    assert log_evidence_above(events, trials + 1, bound) < above + slack
    assert log_evidence_below(events + 1, trials + 1, bound) < below + slack
    assert log_evidence_below(events, trials + 1, bound) > below - slack


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 10**6)), min_size=1, max_size=5), BOUNDS)
def test_the_parts_of_the_data_add_up(parts: list[tuple[int, int]], bound: float) -> None:
    events, trials = sum(hits for hits, _ in parts), sum(hits + clean for hits, clean in parts)
    for factors in (factors_above, factors_below):
        summed = np.sum([factors(hits, hits + clean, bound) for hits, clean in parts], axis=0)
        assert summed == pytest.approx(factors(events, trials, bound), rel=1e-12, abs=1e-9)


@given(st.integers(0, 5000), st.floats(0.001, 0.5), st.sampled_from([0.001, 0.01, 0.05, 0.5]))
def test_the_boundaries_are_where_the_verdict_turns(trials: int, bound: float, alpha: float) -> None:
    needed = -math.log(alpha)
    fewest, most = fewest_to_fail(trials, bound, alpha), most_to_pass(trials, bound, alpha)
    if fewest is None:
        assert log_evidence_above(trials, trials, bound) < needed
    else:
        assert log_evidence_above(fewest, trials, bound) >= needed > log_evidence_above(fewest - 1, trials, bound)
    if most is None:
        assert log_evidence_below(0, trials, bound) < needed
    else:
        assert log_evidence_below(most, trials, bound) >= needed > log_evidence_below(most + 1, trials, bound)
    if fewest is not None and most is not None:
        assert most < fewest


def test_arrays_and_numbers_are_judged_alike() -> None:
    events, trials = np.array([[0, 3], [7, 600]]), np.array([[0, 3], [600, 600]])
    factors = factors_above(events, trials, 0.01)
    assert factors.shape == (2, 2, 32)
    assert (factors[1, 0] == factors_above(7, 600, 0.01)).all()


@pytest.mark.parametrize("bound", [0.0, -0.1, LARGEST_RATE, 1.0, math.nan])
def test_a_bound_that_no_evidence_can_tell_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match="bound"):
        log_evidence_above(0, 1, bound)
    with pytest.raises(ValueError, match="bound"):
        log_evidence_below(0, 1, bound)


@pytest.mark.parametrize(("events", "trials"), [(-1, 1), (2, 1), (0, -1)])
def test_counts_that_cannot_be_are_refused(events: int, trials: int) -> None:
    with pytest.raises(ValueError, match="events of"):
        log_evidence_above(events, trials, 0.01)
    with pytest.raises(ValueError, match="events of"):
        log_evidence_below(events, trials, 0.01)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0])
def test_an_alpha_that_is_no_probability_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        fewest_to_fail(100, 0.01, alpha)
