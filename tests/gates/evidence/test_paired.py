"""Pairs in shadow: the sequential McNemar test against exact enumeration and the fixed-sample one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from gates.evidence.paired import log_evidence_paired_no_worse, log_evidence_paired_worse


@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("discordant", [1, 6, 30])
def test_the_mean_over_all_outcomes_is_one_at_the_edge(discordant: int, margin: float) -> None:
    share = (1 + margin) / (2 + margin)
    for evidence in (log_evidence_paired_worse, log_evidence_paired_no_worse):
        outcomes = [math.exp(evidence(ours, discordant - ours, margin)) for ours in range(discordant + 1)]
        mean = math.fsum(binom.pmf(ours, discordant, share) * e for ours, e in enumerate(outcomes))
        assert mean == pytest.approx(1, abs=1e-9)


@given(st.integers(0, 300), st.integers(0, 300))
def test_is_never_surer_than_the_fixed_sample_test(ours: int, theirs: int) -> None:
    """Who may look at any time pays for it: evidence of 1/p would be the fixed-sample test's own."""
    if ours + theirs:
        fixed = binomtest(ours, ours + theirs, alternative="greater").pvalue
        assert log_evidence_paired_worse(ours, theirs) <= -math.log(fixed) + 1e-9


def test_says_what_it_sees() -> None:
    assert log_evidence_paired_worse(0, 0) == 0
    assert log_evidence_paired_worse(12, 0) > math.log(100)
    assert log_evidence_paired_worse(60, 50) < 0
    assert log_evidence_paired_no_worse(5, 60) > math.log(100)
    assert log_evidence_paired_no_worse(70, 70, margin=1.0) > math.log(20)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0, 17))
def test_is_finite_and_grows_with_the_candidates_failures(ours: int, theirs: int, margin: float) -> None:
    worse = log_evidence_paired_worse(ours, theirs, margin)
    assert math.isfinite(worse)
    assert log_evidence_paired_worse(ours + 1, theirs, margin) >= worse - 1e-12 * (ours + theirs)


@pytest.mark.parametrize("margin", [-0.1, 17.5, math.nan])
def test_a_margin_without_a_test_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        log_evidence_paired_worse(1, 1, margin)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="events of"):
        log_evidence_paired_worse(-1, 3)
    with pytest.raises(ValueError, match="events of"):
        log_evidence_paired_no_worse(1, -3)
