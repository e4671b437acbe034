"""How two distributions of outputs lie to each other: the population stability index, and both as bars to look at."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy.histogram import merge_counts
from proxy.outputs import OutputTally, edges_of

PARTS = 10
"""Bins of the index: the champion's deciles, as the index is usual in credit scoring. What holds a tenth by itself has
a bin of its own, and so has what lies beyond all that the champion gave."""
MOST_BARS = 24
MOVED, DRIFTED = 0.1, 0.25
"""What the index is above where the outputs have moved, and where they have drifted."""
FEWEST = 50
"""Values of each arm below which nothing is told."""
BY_CHANCE = 0.05
"""What the index may be expected to be without drift, for it to be told: about (bins - 1) (1/n + 1/m) for n and m
values (Yurdakul 2018). One bin more is reckoned, as the fewer there are, the further it scatters."""
_CLEAR = 4
"""An index so many times as far above `DRIFTED` as chance may be expected to bring is told in any case."""
_SMOOTHING = 0.5
_TAIL = 0.005


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin: a label, or the numbers from `low` to `high`; and the share of each arm's values in it."""

    label: str
    low: float | None
    high: float | None
    champion: float
    candidate: float


@dataclass(frozen=True, slots=True)
class Drift:
    """One column of the outputs. `psi` is None where too little was seen: below 0.1 is usual, above 0.25 is drift.

    `counted` and `missing` are the champion's and the candidate's. `constant` tells that the candidate always says the
    same where the champion does not."""

    column: str
    psi: float | None
    counted: tuple[int, int]
    missing: tuple[int, int]
    constant: bool
    bars: tuple[Bar, ...]


def drifts(champion: Mapping[str, OutputTally], candidate: Mapping[str, OutputTally]) -> tuple[Drift, ...]:
    """Each column, in the order of their names."""
    columns = sorted(champion.keys() | candidate.keys())
    return tuple(
        drift(column, champion.get(column, OutputTally()), candidate.get(column, OutputTally())) for column in columns
    )


def drift(column: str, champion: OutputTally, candidate: OutputTally) -> Drift:
    counted = (champion.counted, candidate.counted)
    return Drift(
        column,
        _told(_bins(champion, candidate), counted),
        counted,
        (champion.missing, candidate.missing),
        counted[1] >= FEWEST and _is_one_answer(candidate) and _distinct(champion) >= 4,
        (*_number_bars(champion, candidate), *_label_bars(champion, candidate)),
    )


def psi(champion: OutputTally, candidate: OutputTally) -> float:
    """The sum of (q - p) ln(q / p) over bins, p and q being the shares of champion and candidate (Siddiqi 2006); with
    half an observation more in each bin, so that an empty one is no infinity."""
    return _index(_bins(champion, candidate))


def _told(bins: list[tuple[int, int]], counted: tuple[int, int]) -> float | None:
    """The index, where it is more than chance."""
    if min(counted) < FEWEST:
        return None
    index, by_chance = _index(bins), len(bins) * sum(1 / count for count in counted)
    return index if by_chance <= BY_CHANCE or index > DRIFTED + _CLEAR * by_chance else None


def _index(bins: list[tuple[int, int]]) -> float:
    ours = sum(p for p, _ in bins) + _SMOOTHING * len(bins)
    theirs = sum(q for _, q in bins) + _SMOOTHING * len(bins)
    shares = [((p + _SMOOTHING) / ours, (q + _SMOOTHING) / theirs) for p, q in bins]
    return sum((q - p) * math.log(q / p) for p, q in shares)


def _bins(champion: OutputTally, candidate: OutputTally) -> list[tuple[int, int]]:
    """What is in each bin, of either: each label is one of its own. Bins without anything are none."""
    edges = _edges(champion.numbers)
    numbers = zip(_binned(champion.numbers, edges), _binned(candidate.numbers, edges), strict=True)
    labels = sorted(champion.labels.keys() | candidate.labels.keys())
    pairs = [*numbers, *((champion.labels.get(label, 0), candidate.labels.get(label, 0)) for label in labels)]
    return [pair for pair in pairs if any(pair)]


def _edges(numbers: Mapping[int, int]) -> list[int]:
    """The buckets at which a bin begins: where the champion's next tenth does, around what it often gives, and around
    all that it gave.

    A bucket's neighbours are no others yet: 1.0 begins a bucket, and 0.99999 is in the one before."""
    if not numbers:
        return []
    total = sum(numbers.values())
    often = {bucket for bucket, count in numbers.items() if count * PARTS >= total}
    edges = {*_tenths(numbers), min(numbers) - 1, max(numbers) + 2}
    edges |= {bucket + step for bucket in often for step in (-1, 0, 1, 2)}
    return sorted(edge for edge in edges if (edge - 1 in often) == (edge in often))


def _tenths(numbers: Mapping[int, int]) -> Iterator[int]:
    total, seen, begun = sum(numbers.values()), 0, 0
    for bucket in sorted(numbers):
        if seen * PARTS // total > begun:
            begun = seen * PARTS // total
            yield bucket
        seen += numbers[bucket]


def _binned(numbers: Mapping[int, int], edges: list[int]) -> list[int]:
    """What is below the first edge, between each two, and from the last on."""
    binned = [0] * (len(edges) + 1)
    for bucket, count in numbers.items():
        binned[bisect_right(edges, bucket)] += count
    return binned


def _number_bars(champion: OutputTally, candidate: OutputTally) -> list[Bar]:
    """Bars of one width over all that either arm said, but for half a percent at each end: that is in the outermost."""
    together = merge_counts(champion.numbers, candidate.numbers)
    if not together:
        return []
    low, high = edges_of(_quantile(together, _TAIL))[0], edges_of(_quantile(together, 1 - _TAIL))[1]
    width = (high - low) / MOST_BARS
    counts = [[0, 0] for _ in range(MOST_BARS)]
    for arm, tally in enumerate((champion, candidate)):
        for bucket, count in tally.numbers.items():
            middle = sum(edges_of(bucket)) / 2
            counts[int(min(max((middle - low) / width, 0), MOST_BARS - 1))][arm] += count
    totals = (max(champion.counted, 1), max(candidate.counted, 1))
    return [
        Bar("", low + at * width, low + (at + 1) * width, count[0] / totals[0], count[1] / totals[1])
        for at, count in enumerate(counts)
    ]


def _quantile(numbers: Mapping[int, int], q: float) -> int:
    """The bucket that holds the q-quantile."""
    rank, seen = q * (sum(numbers.values()) - 1), 0
    for bucket in sorted(numbers):
        seen += numbers[bucket]
        if seen > rank:
            return bucket
    raise AssertionError("there are no numbers")


def _label_bars(champion: OutputTally, candidate: OutputTally) -> list[Bar]:
    """The labels that are said most, and what is left together."""
    totals = (max(champion.counted, 1), max(candidate.counted, 1))
    shares = {
        label: (champion.labels.get(label, 0) / totals[0], candidate.labels.get(label, 0) / totals[1])
        for label in champion.labels.keys() | candidate.labels.keys()
    }
    ordered = sorted(shares, key=lambda label: (-sum(shares[label]), label))
    bars = [Bar(label, None, None, *shares[label]) for label in ordered[:MOST_BARS]]
    if rest := ordered[MOST_BARS:]:
        ours, theirs = sum(shares[label][0] for label in rest), sum(shares[label][1] for label in rest)
        bars.append(Bar("all others", None, None, ours, theirs))
    return bars


def _is_one_answer(tally: OutputTally) -> bool:
    """Where no least and most are known, one bucket of numbers is one answer."""
    return _distinct(tally) == 1 and tally.least == tally.most


def _distinct(tally: OutputTally) -> int:
    return len(tally.numbers) + len(tally.labels)
