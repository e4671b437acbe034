"""Values side by side: labels, numbers, and whatever holds them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import length_hint
from typing import Any

from proxy.comparison.near import largest_gap, relative_under
from proxy.snapshot import AgreementSpec

_NUMBER = (int, float)  # a tuple is asked three times as fast as a union
_SCALARS = frozenset((int, str, bool))
_VALUES = frozenset((float, int, str, bool))
_HOLDERS = (list, dict)
_TRUTH = {"true": "1", "false": "0"}


@dataclass(slots=True)
class Walk:
    """A walk through two values under one spec. It remembers the largest gap between two numbers, the first row that
    differs, and whether the candidate has no value in a row where the champion has one.

    `relative` is the relative tolerance. `masks` tells whether that a value is gone comes before whatever else differs
    in its row; but for fields (`json`), where null is a value."""

    spec: AgreementSpec
    relative: float
    largest: float = 0.0
    row: int = 0
    new_nan: bool = False
    masks: bool = True

    @classmethod
    def under(cls, spec: AgreementSpec, resolution: float = 0.0) -> Walk:
        return cls(spec, relative_under(spec, resolution), masks=spec.kind != "json")

    def rows(self, champion: Sequence[object], candidate: Sequence[object]) -> tuple[str, int]:
        """The first difference, and in how many rows there is one. Both have the same number of rows."""
        if self.spec.kind == "label":
            first, disagreed, self.row = first_of(map(self._label, champion, candidate))
            return first, disagreed
        gap = largest_gap(champion, candidate, self.spec, self.relative)
        if gap >= 0:
            self.largest = max(self.largest, gap)
            return "", 0
        return self._in_order(champion, candidate, whole=True)

    def _in_order(
        self, champion: Sequence[object], candidate: Sequence[object], whole: bool = False
    ) -> tuple[str, int]:
        """The common cases without a call for each value: two close floats, two equal scalars; and with `whole`, two
        equal rows, which is asked at one depth alone lest deep values be gone through at each of theirs."""
        absolute, relative = self.spec.absolute, self.relative
        largest, first, disagreed = self.largest, "", 0
        decides, threshold, infinity = self.spec.kind == "probability", self.spec.threshold, math.inf
        left = iter(champion)
        for a, b in zip(left, candidate, strict=True):
            if type(a) is float and type(b) is float:
                gap = a - b if a > b else b - a
                within = gap <= absolute + relative * (a if a > 0 else -a) < infinity
                if within and not (decides and (a >= threshold) is not (b >= threshold)):
                    if gap > largest:
                        largest = gap
                    continue
            elif (whole or type(a) in _SCALARS) and a == b:
                continue
            finding = self.difference(a, b)
            if finding:
                disagreed += 1
                if whole:
                    finding = self.named(a, b, finding)
                if not first:
                    first = finding
                    if whole:
                        self.row = len(champion) - 1 - length_hint(left)
        self.largest = max(self.largest, largest)
        return first, disagreed

    def difference(self, a: object, b: object) -> str:
        """The name of the first difference between two values, "" where they agree."""
        if isinstance(a, _NUMBER) and isinstance(b, _NUMBER):
            return self._number(a, b)
        if isinstance(a, list) and isinstance(b, list):
            return self._in_order(a, b)[0] if len(a) == len(b) else "shape"
        if isinstance(a, dict) and isinstance(b, dict):
            return self._mapping(a, b)
        if _is_missing(a) or _is_missing(b):
            return _missing(a, b)
        if type(a) is not type(b):
            return "label_or_probability" if _is_label_beside_probability(a, b) else "type"
        return "" if a == b else "value"

    def _number(self, a: Any, b: Any) -> str:  # compiled, what is said to be a float is no whole number any more
        """Two whole numbers are labels or counts and must be equal, unless they are measured; a tolerance is for
        measured numbers."""
        if isinstance(a, int) and isinstance(b, int) and self.spec.kind in ("auto", "label", "json"):
            return "" if a == b else "label"
        if a != a or b != b:
            return _missing(a, b)
        try:
            a, b = float(a), float(b)
        except OverflowError:
            return "" if a == b else "number"  # a whole number beyond every float
        if a == b:
            return ""
        gap = abs(a - b)
        if math.isinf(gap):
            return "infinite"
        self.largest = max(self.largest, gap)
        if self.spec.kind == "probability" and (a >= self.spec.threshold) is not (b >= self.spec.threshold):
            return "flip"
        return "" if gap <= self.spec.absolute + self.relative * abs(a) else "number"

    def _mapping(self, a: Mapping[str, object], b: Mapping[str, object]) -> str:
        if a.keys() != b.keys():
            return "fields"
        for key, value in a.items():
            other = b[key]
            if not (type(value) in _SCALARS and value == other) and (finding := self.difference(value, other)):
                return finding
        return ""

    def _label(self, a: object, b: object) -> str:
        left, right = label_of(a, self.spec.classes), label_of(b, self.spec.classes)
        return self.named(a, b, self._label_difference(a, b, left, right)) if left != right else ""

    def _label_difference(self, a: object, b: object, left: object, right: object) -> str:
        if left is None or right is None:
            return "new_nan" if right is None else "lost_nan"
        if isinstance(left, _HOLDERS) and isinstance(right, _HOLDERS):
            return self.difference(a, b)
        return "label_or_probability" if _is_label_beside_probability(a, b) else "label"

    def named(self, a: object, b: object, finding: str) -> str:
        """A row's finding, under the mask of what is gone from it."""
        if not self.masks:
            return finding
        if finding == "new_nan" or (isinstance(b, _HOLDERS) and goes_missing(a, b)):
            self.new_nan = True
            return "new_nan"
        return finding


def goes_missing(champion: object, candidate: object) -> bool:
    """Whether there is null or NaN, at any depth, where the champion has a number, a text or a truth value."""
    pairs: Iterable[tuple[object, object]]
    if isinstance(champion, list) and isinstance(candidate, list):
        pairs = zip(champion, candidate, strict=False)
    elif isinstance(champion, dict) and isinstance(candidate, dict):
        pairs = [(value, candidate[key]) for key, value in champion.items() if key in candidate]
    else:
        return _missing(champion, candidate) == "new_nan"
    for a, b in pairs:  # noqa: SIM110  # `any` takes a generator for each row
        if not (type(b) in _VALUES and b == b) and goes_missing(a, b):
            return True
    return False


def first_of(findings: Iterable[str]) -> tuple[str, int, int]:
    """Of each row's finding: the first, how many there are, and the place of the first, 0 without one."""
    found = [(finding, row) for row, finding in enumerate(findings) if finding]
    return (found[0][0], len(found), found[0][1]) if found else ("", 0, 0)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and value == value


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _missing(a: object, b: object) -> str:
    """Null and NaN are no value; two of them agree, as any two do of which neither is missing. Beside a list or an
    object, null is but another type."""
    one, other = _is_missing(a), _is_missing(b)
    if one is other:
        return ""
    if isinstance(a, _HOLDERS) or isinstance(b, _HOLDERS):
        return "type"
    return "lost_nan" if one else "new_nan"


def label_of(value: object, classes: Sequence[str] = ()) -> object:
    """One spelling for `1`, `1.0`, `true` and `"1"`; a vector of probabilities is its most probable class, where the
    order of the classes is declared. None for null and NaN, and for such a vector without all of its numbers."""
    if _is_missing(value):
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value) if not isinstance(value, int) or value.bit_length() < 64 else value
    if isinstance(value, str):
        text = value.strip()
        return _TRUTH.get(text.lower(), text)
    if isinstance(value, list) and value and len(value) == len(classes):
        others = [part for part in value if not _is_number(part)]
        if not others:
            return label_of(classes[value.index(max(value))])
        return None if all(map(_is_missing, others)) else value
    return value


def _is_label_beside_probability(a: object, b: object) -> bool:
    """Whether one is a label, and the other a probability or a vector of them."""
    return (_is_label(a) and _is_probability(b)) or (_is_label(b) and _is_probability(a))


def _is_label(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and value.is_integer())


def _is_probability(value: object) -> bool:
    if isinstance(value, float):
        return 0 < value < 1
    if not isinstance(value, list) or not value:
        return False
    parts = [part for part in islice(value, 10_000) if isinstance(part, int | float) and 0 <= part <= 1]
    return len(parts) == len(value) and abs(sum(parts) - 1) < 0.01
