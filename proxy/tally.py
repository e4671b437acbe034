"""Tallies: what is counted of answers, of pairs of answers and of copies. Each merges exactly with its like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from proxy.comparison import Comparison
from proxy.histogram import Histogram, merge_counts

Lane = Literal["champion", "candidate", "champion_shadow", "candidate_shadow"]
_LARGEST_GAP = 1e6  # a finite sum: what is larger counts in the last bucket all the same
LANES: tuple[Lane, ...] = ("champion", "candidate", "champion_shadow", "candidate_shadow")


@dataclass(slots=True)
class LaneTally:
    """The answers of one variant in one role. `errors` counts an answer once, by the code of what went wrong. `asked`
    are the requests that were sent, while there is a candidate: those that are still under way among them, and not
    those whose client did not wait for the answer. Of these, `abandoned` has the times that they waited."""

    answers: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    latency: Histogram = field(default_factory=Histogram)
    first_byte: Histogram = field(default_factory=Histogram)
    asked: int = 0
    abandoned: Histogram = field(default_factory=Histogram)

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

    def abandon(self, seconds: float) -> None:
        """Nobody waits any more for the answer to a request that was sent, after so many seconds. What it would have
        been nobody knows: only that it would have taken longer."""
        self.asked -= 1
        self.abandoned.observe(seconds)

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
            self.abandoned.merged(other.abandoned),
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


Slices = dict[str, dict[str, SliceTally]]
"""By slice and value."""


class Answers:
    """A lane, and what stands beside it in the slices of one request: what is observed of the one is of all."""

    def __init__(self, tallies: Sequence[LaneTally]) -> None:
        self._tallies = tallies

    def ask(self) -> None:
        for tally in self._tallies:
            tally.ask()

    def abandon(self, seconds: float) -> None:
        for tally in self._tallies:
            tally.abandon(seconds)

    def observe(self, status: int, seconds: float, first_byte: float | None = None) -> None:
        for tally in self._tallies:
            tally.observe(status, seconds, first_byte)

    def observe_failure(self, code: str, seconds: float | None) -> None:
        for tally in self._tallies:
            tally.observe_failure(code, seconds)

    def blame(self, code: str) -> None:
        for tally in self._tallies:
            tally.blame(code)
