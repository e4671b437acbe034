"""Windows: mergeable summaries of what workers saw.

`Window` is a commutative monoid: `merge` adds, `Window()` is its zero, and the order of merging never matters, so
windows of many workers and of many processes' lives add up exactly. A worker's windows are cumulative, and each is
kept under its (model, epoch): pushing one again, or late, or not at all for a while, loses nothing and counts nothing
twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce

import msgspec

from proxy.comparison import Comparison
from proxy.outputs import Outputs, merge_outputs
from proxy.slices import OTHER, Places
from proxy.snapshot import ModelRoute
from proxy.tally import LANES, AgreementTally, AloneTally, Answers, Lane, LaneTally, ShadowTally, Slices, SliceTally


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

    @property
    def lanes(self) -> int:
        """How many lanes it tells of, by which goes its size: four, and two for each value of a slice."""
        own = len(LANES) + 2 * sum([len(values) for values in self.slices.values()])
        return own if self.firsts is None else own + self.firsts.lanes

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


def window_of(tally: SliceTally) -> Window:
    """A slice as a window of its own, by which whatever looks at windows can look at it."""
    pairs = AgreementTally(tally.compared, tally.disagreed)
    return Window(champion=tally.champion, candidate=tally.candidate, agreement=pairs)


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


def encode_window(window: Window) -> bytes:
    return msgspec.json.encode(window)


def decode_window(raw: bytes) -> Window:
    return msgspec.json.decode(raw, type=Window)
