"""A pair of answers to one request, and all that looking at both finds."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from proxy.comparison import Answer, Comparison, compare
from proxy.outputs import Outputs, outputs_of_pair
from proxy.snapshot import AgreementSpec


class Pair(msgspec.Struct, frozen=True):
    """The answers of the champion and of another, to be compared under `spec`; `path` is the request's. Labels that
    stand in `avoid` are not to be told."""

    champion: Answer
    other: Answer
    spec: AgreementSpec
    path: bytes = b""
    avoid: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        return len(self.champion.body or b"") + len(self.other.body or b"")


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
        outputs = outputs_of_pair(pair.champion, pair.other, pair.spec, pair.path, b"\n".join(pair.avoid))
    return Found(comparison, outputs, clock() - start)
