"""Latency quantiles: against the raw samples by brute force, and their coverage by simulation."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.evidence.quantile import (
    log_evidence_no_slower,
    log_evidence_slower,
    quantile_interval,
    slower_than,
)
from gates.evidence.rate import log_evidence_above, log_evidence_below
from proxy.histogram import Histogram, index_of, lower_edge

MICROS = st.one_of(st.integers(1, 40), st.integers(1000, 60_000), st.integers(10**6, 10**9))
SAMPLES = st.lists(MICROS, max_size=400)


def histogram(samples: list[int]) -> Histogram:
    return Histogram(dict(Counter(map(index_of, samples))), len(samples), sum(samples))


def raw_interval(samples: list[int], q: float, alpha: float) -> tuple[int | None, int | None]:
    """The same confidence sequence from the samples themselves, every one of them tried as the quantile."""
    needed, n = math.log(2 / alpha), len(samples)
    lower = [t for t in samples if log_evidence_above(sum(x >= t for x in samples), n, 1 - q) >= needed]
    upper = [t for t in samples if log_evidence_below(sum(x > t for x in samples), n, 1 - q) >= needed]
    return max(lower, default=None), min(upper, default=None)


@given(SAMPLES, st.sampled_from([0.5, 0.9, 0.99]), st.sampled_from([0.01, 0.2]))
def test_the_interval_is_that_of_the_samples_and_at_most_a_bucket_wider(
    samples: list[int], q: float, alpha: float
) -> None:
    interval = quantile_interval(histogram(samples), q, alpha)
    lower, upper = raw_interval(samples, q, alpha)
    assert interval.lower == (None if lower is None else lower_edge(index_of(lower)) / 1e6)
    assert interval.upper == (None if upper is None else lower_edge(index_of(upper) + 1) / 1e6)


@given(SAMPLES, SAMPLES, st.sampled_from([0.5, 0.9]), st.sampled_from([0.0, 0.2, 1.0]), st.sampled_from([0.01, 0.3]))
def test_the_evidence_is_that_the_two_intervals_have_parted(
    ours: list[int], theirs: list[int], q: float, margin: float, alpha: float
) -> None:
    candidate, champion = histogram(ours), histogram(theirs)
    mine, other = quantile_interval(candidate, q, alpha), quantile_interval(champion, q, alpha)
    slower = mine.lower is not None and other.upper is not None and mine.lower >= (1 + margin) * other.upper
    no_slower = mine.upper is not None and other.lower is not None and mine.upper <= (1 + margin) * other.lower
    assert (log_evidence_slower(candidate, champion, q, margin) >= -math.log(alpha)) == slower
    assert (log_evidence_no_slower(candidate, champion, q, margin) >= -math.log(alpha)) == no_slower


def lognormal(rng: np.random.Generator, size: int, scale: float = 1.0) -> np.ndarray:
    return rng.lognormal(mean=math.log(40_000 * scale), sigma=0.6, size=size).astype(np.int64)


def test_covers_the_true_quantile_at_every_look() -> None:
    """200 runs of 3000 answers, looked at every 100: alpha 20 %, so that misses are to be expected, and counted."""
    rng = np.random.default_rng(4)
    p99 = 40_000 * math.exp(0.6 * 2.3263478740408408) / 1e6
    missed = 0
    for _ in range(200):
        latency, wrong = Histogram(), False
        for part in np.split(lognormal(rng, 3000), 30):
            latency = latency.merged(histogram(part.tolist()))
            interval = quantile_interval(latency, 0.99, 0.2)
            wrong |= interval.lower is not None and interval.lower > p99
            wrong |= interval.upper is not None and interval.upper < p99
        missed += wrong
    assert 0 < missed <= 40


def test_tells_a_slow_candidate_from_a_champion_and_not_from_itself() -> None:
    rng = np.random.default_rng(5)
    champion = histogram(lognormal(rng, 20_000).tolist())
    same, slow = histogram(lognormal(rng, 2000).tolist()), histogram(lognormal(rng, 2000, scale=1.8).tolist())
    assert log_evidence_slower(slow, champion, 0.99, 0.2) > math.log(100)
    assert log_evidence_slower(same, champion, 0.99, 0.2) < 0
    assert log_evidence_no_slower(same, champion, 0.99, 0.5) > math.log(20)
    assert log_evidence_no_slower(slow, champion, 0.99, 0.5) < 0


def test_a_p99_is_bounded_after_some_hundred_answers() -> None:
    """Not after the 77 000 that a band over all quantiles at once would ask for."""
    latency = histogram([30_000] * 700)
    assert quantile_interval(latency, 0.99, 0.01).upper == pytest.approx(0.03, rel=0.07)


@given(SAMPLES, st.floats(1e-6, 2000))
def test_a_limit_inside_a_bucket_is_told_from_both_sides(samples: list[int], seconds: float) -> None:
    surely, possibly = slower_than(histogram(samples), seconds)
    true = sum(micros > seconds * 1e6 for micros in samples)
    assert surely <= sum(micros >= seconds * 1e6 for micros in samples)
    assert true <= possibly
    assert possibly - surely <= samples.count(0) + sum(index_of(x) == index_of(int(seconds * 1e6)) for x in samples)


def test_no_data_is_no_evidence() -> None:
    empty, some = Histogram(), histogram([5000] * 1000)
    assert quantile_interval(empty, 0.99, 0.05) == quantile_interval(histogram([1]), 0.99, 0.05)
    assert quantile_interval(empty, 0.99, 0.05).upper is None
    for evidence in (log_evidence_slower, log_evidence_no_slower):
        assert evidence(empty, empty, 0.99, 0.0) < 0
        assert evidence(some, empty, 0.99, 0.0) < 0
        assert evidence(empty, some, 0.99, 0.0) < 0
    assert slower_than(empty, 0.1) == (0, 0)


def test_huge_counts_and_the_bucket_without_an_edge_are_judged() -> None:
    latency = Histogram({100: 10**9, 511: 10**9}, 2 * 10**9)
    interval = quantile_interval(latency, 0.99, 0.01)
    assert interval.lower == lower_edge(511) / 1e6
    assert interval.upper is None
    assert math.isfinite(log_evidence_slower(latency, latency, 0.99, 0.0))


@pytest.mark.parametrize("margin", [-0.1, math.inf, math.nan])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    for evidence in (log_evidence_slower, log_evidence_no_slower):
        with pytest.raises(ValueError, match="margin"):
            evidence(Histogram(), Histogram(), 0.99, margin)


@pytest.mark.parametrize("q", [0.05, 1.0])
def test_a_quantile_that_no_count_bounds_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="bound"):
        quantile_interval(Histogram(), q, 0.05)
