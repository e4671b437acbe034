"""A latency histogram that merges exactly: 16 buckets to each doubling, from 16 microseconds to about 19 hours.

A bucket is at most 6.25 % wide, so any quantile read from it is within that of the sample it stands for. The layout is
that of HdrHistogram: the top bits of the value name the bucket, hence no logarithm on the hot path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

K = TypeVar("K")

SUB_BITS = 4
SUB_BUCKETS = 1 << SUB_BITS
MAX_INDEX = 32 * SUB_BUCKETS - 1


def index_of(micros: int) -> int:
    """The bucket of a duration in microseconds. Total: negative counts as 0, and the last bucket has no upper edge."""
    if micros < SUB_BUCKETS:
        return max(micros, 0)
    shift = micros.bit_length() - SUB_BITS - 1
    return min((shift << SUB_BITS) + (micros >> shift), MAX_INDEX)


def lower_edge(index: int) -> int:
    """The least duration, in microseconds, that falls into bucket `index`."""
    if index < SUB_BUCKETS:
        return index
    shift = (index >> SUB_BITS) - 1
    return (SUB_BUCKETS + (index & (SUB_BUCKETS - 1))) << shift


@dataclass(slots=True)
class Histogram:
    """Counts by bucket. Mutable, as a worker adds to it for every answer; `merged` leaves both sides as they were."""

    counts: dict[int, int] = field(default_factory=dict)
    total: int = 0
    sum_micros: int = 0

    def observe(self, seconds: float) -> None:
        micros = int(seconds * 1e6)
        index = index_of(micros)
        self.counts[index] = self.counts.get(index, 0) + 1
        self.total += 1
        self.sum_micros += micros

    def merged(self, other: Histogram) -> Histogram:
        return Histogram(
            merge_counts(self.counts, other.counts), self.total + other.total, self.sum_micros + other.sum_micros
        )

    def above(self, seconds: float) -> int:
        """Samples in buckets wholly at or above `seconds`: exact at a bucket's edge, else short by part of a bucket."""
        micros = int(seconds * 1e6)
        return sum(count for index, count in self.counts.items() if lower_edge(index) >= micros)

    def at_least(self, seconds: float) -> Histogram:
        """Those samples, as if each were as short as its bucket lets it be."""
        micros = int(seconds * 1e6)
        counts = {index: count for index, count in self.counts.items() if lower_edge(index) >= micros}
        shortest = sum(lower_edge(index) * count for index, count in counts.items())
        return Histogram(counts, sum(counts.values()), shortest)

    def quantile(self, q: float) -> float | None:
        """The q-quantile in seconds (the middle of its bucket), None without samples."""
        if not self.total:
            return None
        rank = q * (self.total - 1)
        seen = 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen > rank:
                return (lower_edge(index) + lower_edge(index + 1)) / 2e6
        raise AssertionError("counts and total disagree")


def merge_counts(left: Mapping[K, int], right: Mapping[K, int]) -> dict[K, int]:
    """Adds two tallies key by key."""
    merged = dict(left)
    for key, count in right.items():
        merged[key] = merged.get(key, 0) + count
    return merged
