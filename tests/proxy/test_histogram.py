from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from proxy.histogram import MAX_INDEX, SUB_BUCKETS, Histogram, index_of, lower_edge, merge_counts

EDGES = [lower_edge(index) for index in range(MAX_INDEX + 1)]
micros = st.integers(0, 1 << 40)
samples = st.lists(st.floats(0, 50_000), max_size=50)


def _filled(seconds: list[float]) -> Histogram:
    histogram = Histogram()
    for one in seconds:
        histogram.observe(one)
    return histogram


def test_the_edges_rise_and_each_is_in_the_bucket_that_it_opens() -> None:
    assert sorted(set(EDGES)) == EDGES
    assert [index_of(edge) for edge in EDGES] == list(range(MAX_INDEX + 1))


@given(samples, st.floats(0, 50_000))
def test_those_of_at_least_so_many_seconds_are_as_many_and_no_longer(drawn: list[float], seconds: float) -> None:
    histogram = _filled(drawn)
    found = histogram.at_least(seconds)
    assert found.total == sum(found.counts.values()) == histogram.above(seconds)
    assert found.sum_micros <= histogram.sum_micros
    assert histogram.at_least(0.0).counts == histogram.counts


@given(micros)
def test_a_value_is_in_the_bucket_between_its_edges(value: int) -> None:
    assert index_of(value) == bisect_right(EDGES, value) - 1


@given(st.integers(SUB_BUCKETS, EDGES[-1] - 1))
def test_a_bucket_is_at_most_a_sixteenth_wide(value: int) -> None:
    index = index_of(value)
    assert (lower_edge(index + 1) - lower_edge(index)) * SUB_BUCKETS <= value


@given(st.integers())
def test_every_whole_number_has_a_bucket(value: int) -> None:
    assert 0 <= index_of(value) <= MAX_INDEX


@given(samples.filter(bool), st.floats(0, 1))
def test_a_quantile_is_in_the_bucket_of_the_sample_that_it_stands_for(seconds: list[float], q: float) -> None:
    found = _filled(seconds).quantile(q)
    assert found is not None
    rank = q * (len(seconds) - 1)
    least = sorted(seconds)[int(rank)]
    assert lower_edge(index_of(int(least * 1e6))) / 1e6 <= found <= lower_edge(index_of(int(least * 1e6)) + 1) / 1e6


def test_a_histogram_without_samples_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None


@given(samples, st.integers(0, MAX_INDEX))
def test_above_is_exact_at_an_edge(seconds: list[float], index: int) -> None:
    edge = lower_edge(index)
    assert _filled(seconds).above(edge / 1e6) == sum(int(one * 1e6) >= edge for one in seconds)


@given(samples, st.floats(0, 50_000))
def test_above_never_claims_more_than_there_is(seconds: list[float], limit: float) -> None:
    assert _filled(seconds).above(limit) <= sum(int(one * 1e6) >= int(limit * 1e6) for one in seconds)


@given(samples, samples)
def test_merging_is_observing_both(left: list[float], right: list[float]) -> None:
    assert _filled(left).merged(_filled(right)) == _filled(left + right)


@given(samples, samples)
def test_merging_changes_neither_side(left: list[float], right: list[float]) -> None:
    one, other = _filled(left), _filled(right)
    one.merged(other).observe(1.0)
    assert (one, other) == (_filled(left), _filled(right))


counts = st.dictionaries(st.integers(0, 5), st.integers(0, 9))


@given(counts, counts)
def test_tallies_add_up_key_by_key(left: dict[int, int], right: dict[int, int]) -> None:
    merged = merge_counts(left, right)
    assert merged == {key: left.get(key, 0) + right.get(key, 0) for key in left | right}
