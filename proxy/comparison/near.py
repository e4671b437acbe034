"""What most pairs are: rows of numbers or labels, alone or under names, each close to its like. Told with one look at
each, and compiled for it; whatever else there is to say of a pair is left to a closer look."""

from __future__ import annotations

import math

from proxy.comparison.result import Comparison
from proxy.formats.rows import ROWS_FORMATS, ROWS_MARK, decode_rows
from proxy.snapshot import AgreementSpec

FAR = -1.0
_RESOLUTIONS = {"float64": 0.0, "float32": 2.0**-23, "float16": 2.0**-10}
_KINDS = frozenset(("auto", "numeric", "probability", "label", "json"))


def relative_under(spec: AgreementSpec, resolution: float = 0.0) -> float:
    """The relative tolerance: no finer than the number type that the answers (by `resolution`) or the spec declare."""
    return max(spec.relative, resolution, _RESOLUTIONS[spec.precision])


def near_at_once(champion: bytes, candidate: bytes, spec: AgreementSpec) -> Comparison | None:
    """The comparison of two bodies that are as most are; None for all others."""
    if not (champion.startswith(ROWS_MARK) and candidate.startswith(ROWS_MARK)):
        return None
    if spec.format not in ROWS_FORMATS or spec.kind not in _KINDS:
        return None
    try:
        left, right = decode_rows(champion).predictions, decode_rows(candidate).predictions
    except (ValueError, RecursionError):
        return None
    gap = largest_gap(left, right, spec, relative_under(spec))
    return None if gap < 0 else Comparison(rows=len(left), largest_gap=gap)


def largest_gap(champion: object, candidate: object, spec: AgreementSpec, relative: float) -> float:
    """The largest |a - b| of two lists of numbers, labels, or vectors or records of them, where all are alike; FAR
    where they are not, or where that takes a closer look."""
    if not (isinstance(champion, list) and isinstance(candidate, list) and len(champion) == len(candidate)):
        return FAR
    if champion and isinstance(champion[0], list | dict):
        left: list[object] = []
        right: list[object] = []
        if not _unrolled(champion, candidate, left, right):
            return FAR
        champion, candidate = left, right
    if spec.kind == "label":
        return _largest_gap(champion, candidate, 0.0, 0.0, math.nan)
    threshold = spec.threshold if spec.kind == "probability" else math.nan
    return _largest_gap(champion, candidate, spec.absolute, relative, threshold)


def _largest_gap(
    champion: list[object], candidate: list[object], absolute: float, relative: float, threshold: float
) -> float:
    """On one side of the threshold, too; NaN is none."""
    largest = 0.0
    for place in range(len(champion)):  # compiled, a loop over numbers: `zip` would make a pair of each
        a, b = champion[place], candidate[place]
        if isinstance(a, float) and isinstance(b, float):
            x: float = a
            y: float = b
            gap = x - y if x > y else y - x
            within = absolute + relative * (x if x > 0.0 else -x)
            if not gap <= within < math.inf or (x >= threshold) is not (y >= threshold):
                return FAR
            if gap > largest:
                largest = gap
        elif type(a) is not type(b) or not isinstance(a, int | str) or a != b:
            return FAR
    return largest


def _unrolled(champion: list[object], candidate: list[object], left: list[object], right: list[object]) -> bool:
    """Put what the rows hold, value by value, into `left` and `right`; False where they are not of one shape."""
    for place in range(len(champion)):
        a, b = champion[place], candidate[place]
        if isinstance(a, list) and isinstance(b, list):
            left.extend(a)
            right.extend(b)
        elif isinstance(a, dict) and isinstance(b, dict) and len(a) == len(b):
            for name, value in a.items():
                if name not in b:
                    return False
                left.append(value)
                right.append(b[name])
        else:
            return False
        if len(left) != len(right):
            return False
    return True
