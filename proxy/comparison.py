"""Do two answers say the same? Total: whatever two upstreams sent, the result is a Comparison and never an
exception."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.formats import Unreadable, predictions
from proxy.snapshot import AgreementSpec


@dataclass(frozen=True, slots=True)
class Answer:
    """One upstream's whole answer; `body` is None where it was too large to keep."""

    status: int
    content_type: str
    encoding: str
    body: bytes | None

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two answers differ. `finding` names the first difference, "" where they agree; `skipped` why there was none
    to make.

    `largest_gap` is the largest |a - b| over the numbers that were compared."""

    finding: str = ""
    skipped: str = ""
    rows: int = 0
    rows_disagreed: int = 0
    largest_gap: float = 0.0


@dataclass(slots=True)
class _Gap:
    """The largest numeric difference met so far; a holder, so that the walk through nested values stays a plain
    predicate."""

    largest: float = 0.0


def compare(primary: Answer, other: Answer, spec: AgreementSpec) -> Comparison:
    """Compare the answer that was served with the one that was not.

    Only pairs of successes are compared: a failure is counted as an error of its own arm, not as a disagreement."""
    if not (primary.succeeded and other.succeeded):
        return Comparison(skipped="not_both_succeeded")
    if primary.body is None or other.body is None:
        return Comparison(skipped="body_too_large")
    if primary.body == other.body and primary.encoding == other.encoding:
        return Comparison()
    if primary.encoding or other.encoding:
        return Comparison(skipped="encoded")
    try:
        left = predictions(primary.body, primary.content_type).rows
        right = predictions(other.body, other.content_type).rows
        return _compare_rows(left, right, spec)
    except Unreadable as unreadable:
        return Comparison(skipped=str(unreadable))
    except RecursionError:
        return Comparison(skipped="too_deep")


def _compare_rows(left: tuple[object, ...], right: tuple[object, ...], spec: AgreementSpec) -> Comparison:
    if len(left) != len(right):
        rows = max(len(left), len(right))
        return Comparison("row_count", rows=rows, rows_disagreed=rows)
    gap = _Gap()
    first = ""
    disagreed = 0
    for a, b in zip(left, right, strict=True):
        finding = _difference(a, b, spec, gap)
        if finding:
            disagreed += 1
            first = first or finding
    return Comparison(first, rows=len(left), rows_disagreed=disagreed, largest_gap=gap.largest)


def _difference(a: object, b: object, spec: AgreementSpec, gap: _Gap) -> str:
    """The name of the first difference between two values, "" where they agree."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        return _number_difference(a, b, spec, gap)
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return "shape"
        return next(filter(None, (_difference(x, y, spec, gap) for x, y in zip(a, b, strict=True))), "")
    if isinstance(a, dict) and isinstance(b, dict):
        return _mapping_difference(a, b, spec, gap)
    if type(a) is not type(b):
        return "type"
    return "" if a == b else "value"


def _number_difference(a: float, b: float, spec: AgreementSpec, gap: _Gap) -> str:
    """Two whole numbers are labels or counts and must be equal; a tolerance is for measured numbers."""
    if isinstance(a, int) and isinstance(b, int):
        return "" if a == b else "label"
    try:
        a, b = float(a), float(b)
    except OverflowError:
        return "number"  # a whole number beyond every float
    if math.isnan(a) or math.isnan(b):
        return "" if math.isnan(a) and math.isnan(b) else "nan"
    if a == b:
        return ""
    distance = abs(a - b)
    if math.isinf(distance):
        return "infinite"
    gap.largest = max(gap.largest, distance)
    return "" if distance <= spec.absolute + spec.relative * abs(a) else "number"


def _mapping_difference(a: Mapping[str, object], b: Mapping[str, object], spec: AgreementSpec, gap: _Gap) -> str:
    if a.keys() != b.keys():
        return "fields"
    return next(filter(None, (_difference(value, b[key], spec, gap) for key, value in a.items())), "")
