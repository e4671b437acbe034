"""Windows: mergeable summaries of what workers saw.

`Window` is a commutative monoid: `merge` adds, `Window()` is its zero, and the order of merging never matters, so
windows of many workers and of many processes' lives add up exactly. A worker's windows are cumulative, and each is
kept under its (model, epoch): pushing one again, or late, or not at all for a while, loses nothing and counts nothing
twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

import msgspec

from proxy.comparison import Comparison
from proxy.disagreements import Disagreement, require_lawful
from proxy.histogram import MAX_INDEX, Histogram, merge_counts
from proxy.outputs import LAST_BUCKET, Outputs, merge_outputs
from proxy.slices import OTHER, Places
from proxy.snapshot import ModelRoute

Lane = Literal["champion", "candidate", "champion_shadow", "candidate_shadow"]
_LARGEST_GAP = 1e6  # a finite sum: what is larger counts in the last bucket all the same
LANES: tuple[Lane, ...] = ("champion", "candidate", "champion_shadow", "candidate_shadow")


@dataclass(slots=True)
class LaneTally:
    """The answers of one variant in one role. `errors` counts an answer once, by the code of what went wrong. `asked`
    are the requests that were sent, while there is a candidate: those that are still under way among them."""

    answers: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    latency: Histogram = field(default_factory=Histogram)
    first_byte: Histogram = field(default_factory=Histogram)
    asked: int = 0

    @property
    def failures(self) -> int:
        return sum(self.errors.values())

    @property
    def begun(self) -> int:
        """All that were sent, answered or not."""
        return max(self.asked, self.answers)

    def ask(self) -> None:
        """A request is sent."""
        self.asked += 1

    def observe(self, status: int, seconds: float, first_byte: float | None = None) -> None:
        """An answer came back whole after `seconds`, and its head after `first_byte`, if that is known. A 5xx is a
        failure; a 4xx alone may be the client's own fault."""
        self.answers += 1
        self.latency.observe(seconds)
        if first_byte is not None:
            self.first_byte.observe(first_byte)
        band = f"{status // 100}xx"
        self.statuses[band] = self.statuses.get(band, 0) + 1
        if status >= 500:
            self.blame("status_5xx")

    def observe_failure(self, code: str, seconds: float | None) -> None:
        """No whole answer came; `code` is that of an UpstreamFailed. The time it took counts as latency, too: None
        where nobody was asked."""
        self.answers += 1
        if seconds is not None:
            self.latency.observe(seconds)
        self.blame(code)

    def blame(self, code: str) -> None:
        """Turn an answer that was counted already into a failure, for a reason found out later."""
        self.errors[code] = self.errors.get(code, 0) + 1

    def merged(self, other: LaneTally) -> LaneTally:
        return LaneTally(
            self.answers + other.answers,
            merge_counts(self.statuses, other.statuses),
            merge_counts(self.errors, other.errors),
            self.latency.merged(other.latency),
            self.first_byte.merged(other.first_byte),
            self.asked + other.asked,
        )


@dataclass(slots=True)
class AgreementTally:
    """What comparing pairs of answers has shown. Pairs that were not compared stand in `skipped`, by reason.

    `gaps` has each compared pair's largest |a - b|, in the predictions' own unit where the histogram has seconds.
    `rows` are those of the pairs whose bytes differed: equal bytes agree without being read."""

    compared: int = 0
    disagreed: int = 0
    rows: int = 0
    rows_disagreed: int = 0
    largest_gap: float = 0.0
    findings: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    gaps: Histogram = field(default_factory=Histogram)

    @property
    def comparable(self) -> int:
        """The pairs that could have been compared: all that were seen, but for those of which one failed."""
        return self.compared + sum(self.skipped.values()) - self.skipped.get("not_both_succeeded", 0)

    @property
    def coverage(self) -> float | None:
        """The share of the comparable pairs that were compared, None without any."""
        return self.compared / self.comparable if self.comparable else None

    def observe(self, comparison: Comparison) -> None:
        if comparison.skipped:
            self.skipped[comparison.skipped] = self.skipped.get(comparison.skipped, 0) + 1
            return
        self.compared += 1
        self.rows += comparison.rows
        self.rows_disagreed += comparison.rows_disagreed
        self.largest_gap = max(self.largest_gap, comparison.largest_gap)
        self.gaps.observe(min(comparison.largest_gap, _LARGEST_GAP))
        if comparison.finding:
            self.disagreed += 1
            self.findings[comparison.finding] = self.findings.get(comparison.finding, 0) + 1

    def merged(self, other: AgreementTally) -> AgreementTally:
        return AgreementTally(
            self.compared + other.compared,
            self.disagreed + other.disagreed,
            self.rows + other.rows,
            self.rows_disagreed + other.rows_disagreed,
            max(self.largest_gap, other.largest_gap),
            merge_counts(self.findings, other.findings),
            merge_counts(self.skipped, other.skipped),
            self.gaps.merged(other.gaps),
        )


@dataclass(slots=True)
class AloneTally:
    """Of the requests that the champion was asked and the candidate got a copy of: how many one alone failed."""

    candidate: int = 0
    champion: int = 0

    def merged(self, other: AloneTally) -> AloneTally:
        return AloneTally(self.candidate + other.candidate, self.champion + other.champion)


@dataclass(slots=True)
class ShadowTally:
    """The fate of the copies: every one that was offered is either sent or stands in `dropped`, by reason."""

    offered: int = 0
    sent: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def known(self) -> int:
        """The copies whose fate tells something: those that were sent, and those kept from servers that fail, as each
        of these counts as a failure."""
        return self.sent + self.dropped.get("ejected", 0)

    def drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def merged(self, other: ShadowTally) -> ShadowTally:
        return ShadowTally(
            self.offered + other.offered, self.sent + other.sent, merge_counts(self.dropped, other.dropped)
        )


@dataclass(slots=True)
class SliceTally:
    """One value of a slice: the answers of each arm, served and mirrored alike, and the pairs that were compared."""

    champion: LaneTally = field(default_factory=LaneTally)
    candidate: LaneTally = field(default_factory=LaneTally)
    compared: int = 0
    disagreed: int = 0

    def arm(self, lane: Lane) -> LaneTally:
        return self.champion if lane in ("champion", "champion_shadow") else self.candidate

    def merged(self, other: SliceTally) -> SliceTally:
        return SliceTally(
            self.champion.merged(other.champion),
            self.candidate.merged(other.candidate),
            self.compared + other.compared,
            self.disagreed + other.disagreed,
        )

    @property
    def window(self) -> Window:
        """As a window of its own, by which whatever looks at windows can look at the slice."""
        pairs = AgreementTally(self.compared, self.disagreed)
        return Window(champion=self.champion, candidate=self.candidate, agreement=pairs)


Slices = dict[str, dict[str, SliceTally]]
"""By slice and value."""


class Answers:
    """A lane, and what stands beside it in the slices of one request: what is observed of the one is of all."""

    def __init__(self, tallies: Sequence[LaneTally]) -> None:
        self._tallies = tallies

    def ask(self) -> None:
        for tally in self._tallies:
            tally.ask()

    def observe(self, status: int, seconds: float, first_byte: float | None = None) -> None:
        for tally in self._tallies:
            tally.observe(status, seconds, first_byte)

    def observe_failure(self, code: str, seconds: float | None) -> None:
        for tally in self._tallies:
            tally.observe_failure(code, seconds)

    def blame(self, code: str) -> None:
        for tally in self._tallies:
            tally.blame(code)


@dataclass(slots=True)
class Window:
    """All that was seen of one model during one epoch. Mutable, because the hot path adds to it in place.

    `agreement` is the candidate's with the champion, `noise` the champion's with itself. The outputs are those of the
    same sample of pairs. `firsts` is the part of it all that came from the first request of each unit, where that is
    told apart."""

    champion: LaneTally = field(default_factory=LaneTally)
    candidate: LaneTally = field(default_factory=LaneTally)
    champion_shadow: LaneTally = field(default_factory=LaneTally)
    candidate_shadow: LaneTally = field(default_factory=LaneTally)
    agreement: AgreementTally = field(default_factory=AgreementTally)
    shadow: ShadowTally = field(default_factory=ShadowTally)
    fallbacks: int = 0
    noise: AgreementTally = field(default_factory=AgreementTally)
    champion_outputs: Outputs = field(default_factory=dict)
    candidate_outputs: Outputs = field(default_factory=dict)
    slices: Slices = field(default_factory=dict)
    alone: AloneTally = field(default_factory=AloneTally)
    firsts: Window | None = None

    def lane(self, lane: Lane) -> LaneTally:
        tally: LaneTally = getattr(self, lane)
        return tally

    def answers(self, lane: Lane, route: ModelRoute, places: Places) -> LaneTally | Answers:
        """Where an answer of this lane counts, to a request with these places in the route's slices."""
        if not places:
            return self.lane(lane)
        return Answers([self.lane(lane), *(tally.arm(lane) for tally in self.sliced(route, places))])

    def pair(self, comparison: Comparison, route: ModelRoute, places: Places) -> None:
        """Count a pair of answers."""
        self.agreement.observe(comparison)
        if places and not comparison.skipped:
            for tally in self.sliced(route, places):
                tally.compared += 1
                tally.disagreed += bool(comparison.finding)

    def sliced(self, route: ModelRoute, places: Places) -> list[SliceTally]:
        """The tallies of the values, or of all others once a slice has as many as it may."""
        found = []
        for one, (name, value) in zip(route.slices, places, strict=True):
            values = self.slices.setdefault(name, {})
            if value not in values:
                if len(values.keys() - {OTHER}) >= one.most:
                    value = OTHER
                values.setdefault(value, SliceTally())
            found.append(values[value])
        return found


def merge(left: Window, right: Window) -> Window:
    """The window of both together; neither side is changed."""
    return Window(
        left.champion.merged(right.champion),
        left.candidate.merged(right.candidate),
        left.champion_shadow.merged(right.champion_shadow),
        left.candidate_shadow.merged(right.candidate_shadow),
        left.agreement.merged(right.agreement),
        left.shadow.merged(right.shadow),
        left.fallbacks + right.fallbacks,
        left.noise.merged(right.noise),
        merge_outputs(left.champion_outputs, right.champion_outputs),
        merge_outputs(left.candidate_outputs, right.candidate_outputs),
        _merge_slices(left.slices, right.slices),
        left.alone.merged(right.alone),
        merge(left.firsts, right.firsts) if left.firsts and right.firsts else left.firsts or right.firsts,
    )


def _merge_slices(left: Slices, right: Slices) -> Slices:
    return {
        name: {
            value: left.get(name, {}).get(value, SliceTally()).merged(right.get(name, {}).get(value, SliceTally()))
            for value in left.get(name, {}).keys() | right.get(name, {}).keys()
        }
        for name in left.keys() | right.keys()
    }


def merge_all(windows: Iterable[Window]) -> Window:
    return reduce(merge, windows, Window())


@dataclass(frozen=True, slots=True)
class Sample:
    """One (model, epoch) of one worker, cumulative since the worker started."""

    model: str
    epoch: int
    window: Window


@dataclass(frozen=True, slots=True)
class Push:
    """What a worker sends: its changed windows. Of two pushes of one worker the one with the higher sequence is
    newer. The disagreements are those chosen since the last push; one that comes twice is the same by its id."""

    worker: str
    sequence: int
    samples: tuple[Sample, ...]
    disagreements: tuple[Disagreement, ...] = ()


def encode_push(push: Push) -> bytes:
    return msgspec.json.encode(push)


def decode_push(raw: bytes) -> Push:
    """Raises ValueError for anything that is not a lawful push: counts that contradict each other included, as no
    verdict can be read from them."""
    try:
        push = msgspec.json.decode(raw, type=Push)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    for sample in push.samples:
        _require_lawful(sample.window)
        if (firsts := sample.window.firsts) is not None:
            if firsts.firsts is not None:
                raise ValueError("the first answers of units have none of their own")
            _require_lawful(firsts)
    for pair in push.disagreements:
        require_lawful(pair)
    return push


def _require_lawful(window: Window) -> None:
    counts = [window.fallbacks, window.alone.candidate, window.alone.champion, *window.shadow.dropped.values()]
    sliced = [tally for values in window.slices.values() for tally in values.values()]
    arms = [arm for tally in sliced for arm in (tally.champion, tally.candidate)]
    if any(not 0 <= tally.disagreed <= tally.compared for tally in sliced):
        raise ValueError("a slice's counts contradict each other")
    for lane in (*map(window.lane, LANES), *arms):
        counts += [lane.asked, *lane.statuses.values(), *lane.errors.values()]
        _require_histogram(lane.latency)
        _require_histogram(lane.first_byte)
        if lane.failures > lane.answers:
            raise ValueError("a lane's counts contradict each other")
    for tally in (window.agreement, window.noise):
        counts += [*tally.findings.values(), *tally.skipped.values()]
        _require_histogram(tally.gaps)
        if not 0 <= tally.disagreed <= tally.compared or tally.gaps.total > tally.compared:
            raise ValueError("the agreement's counts contradict each other")
    for outputs in (window.champion_outputs, window.candidate_outputs):
        for output in outputs.values():
            counts += [output.missing, *output.numbers.values(), *output.labels.values()]
            if not all(-LAST_BUCKET <= bucket <= LAST_BUCKET for bucket in output.numbers):
                raise ValueError("an output's bucket is out of range")
    if any(count < 0 for count in counts):
        raise ValueError("a count is negative")


def _require_histogram(histogram: Histogram) -> None:
    if sum(histogram.counts.values()) != histogram.total or histogram.sum_micros < 0:
        raise ValueError("a histogram's counts contradict each other")
    if any(count < 0 for count in histogram.counts.values()):
        raise ValueError("a count is negative")
    if not all(0 <= index <= MAX_INDEX for index in histogram.counts):
        raise ValueError("a histogram's bucket is out of range")


def encode_window(window: Window) -> bytes:
    return msgspec.json.encode(window)


def decode_window(raw: bytes) -> Window:
    return msgspec.json.decode(raw, type=Window)
