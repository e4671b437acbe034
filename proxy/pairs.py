"""A pair of answers to one request, and all that looking at both finds."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from proxy.anonymity import Names, Veil
from proxy.comparison import Answer, Comparison, compare
from proxy.outputs import Outputs, outputs_of_pair
from proxy.snapshot import AgreementSpec


class Pair(msgspec.Struct, frozen=True):
    """The answers of the champion and of another, to be compared under `spec`; `path` is the request's, and so is the
    `veil`, behind which no names are told."""

    champion: Answer
    other: Answer
    spec: AgreementSpec
    path: bytes = b""
    veil: Veil | None = None

    @property
    def size(self) -> int:
        """Bytes that looking at it may read."""
        return len(self.champion.body or b"") + len(self.other.body or b"") + (self.veil.size if self.veil else 0)


class Found(msgspec.Struct, frozen=True):
    """What looking at a pair has found, and the seconds that it took."""

    comparison: Comparison
    outputs: tuple[Outputs, Outputs] | None
    seconds: float


def look_at(pair: Pair, counted: bool, clock: Callable[[], float]) -> Found:
    """The comparison, and where it is `counted` what both answered. Total, as `compare` is; `clock` is in seconds."""
    start, outputs = clock(), None
    comparison = compare(pair.champion, pair.other, pair.spec, pair.path)
    if counted and not comparison.skipped:
        names = Names(pair.veil, pair.champion, pair.other, pair.spec, pair.path) if pair.veil else None
        outputs = outputs_of_pair(pair.champion, pair.other, pair.spec, pair.path, names)
    return Found(comparison, outputs, clock() - start)
