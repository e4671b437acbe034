"""What a model answers, as a distribution: counts by bucket for numbers, by label for labels, mergeable exactly."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

from proxy.anonymity import Names
from proxy.comparison.rankings import ranked
from proxy.formats import Answer, Unreadable, predictions
from proxy.histogram import merge_counts
from proxy.snapshot import AgreementSpec

WHOLE = 512
"""The first so many pairs of a window are all counted, and then one in `THEN_ONE_IN`."""
THEN_ONE_IN = 16

MOST_VALUES = 64
"""Rows of one answer that are counted: the first, as rows of a batch come in no order that matters."""
MOST_COLUMNS = 8
MOST_LABELS = 64
LONGEST_LABEL = 40
OTHER = "other"

SUB_BUCKETS = 16
_LEAST_EXPONENT, _MOST_EXPONENT = -19, 64
"""Between 2 ** -20, about a millionth, and 2 ** 64; what is smaller counts as 0, what is larger in the last bucket."""
_LARGEST = sys.float_info.max


@dataclass(slots=True)
class OutputTally:
    """The values of one column of a model's answers. `missing` are those that are null or NaN.

    A number's bucket is 16 to each doubling, hence at most 6.25 % wide; its sign is the number's, and 0 is its own.
    `least` and `most` are of all numbers, None where none is known."""

    missing: int = 0
    numbers: dict[int, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    least: float | None = None
    most: float | None = None

    @property
    def counted(self) -> int:
        return sum(self.numbers.values()) + sum(self.labels.values())

    def add(self, other: OutputTally, named: set[str]) -> None:
        """In place. `named` are the labels that have a name: once they are `MOST_LABELS`, others are counted together,
        under OTHER."""
        self.missing += other.missing
        self._widen(other.least, other.most)
        for bucket, count in other.numbers.items():
            self.numbers[bucket] = self.numbers.get(bucket, 0) + count
        for label, count in other.labels.items():
            if label not in named:
                if len(named) < MOST_LABELS:
                    named.add(label)
                else:
                    label = OTHER
            self.labels[label] = self.labels.get(label, 0) + count

    def measure(self, number: float) -> None:
        """Count a number, which may be infinite."""
        bucket = bucket_of_number(number)
        self.numbers[bucket] = self.numbers.get(bucket, 0) + 1
        number = _finite(number)
        if self.least is None or number < self.least:
            self.least = number
        if self.most is None or number > self.most:
            self.most = number

    def _widen(self, least: float | None, most: float | None) -> None:
        if least is not None and (self.least is None or least < self.least):
            self.least = least
        if most is not None and (self.most is None or most > self.most):
            self.most = most

    def merged(self, other: OutputTally) -> OutputTally:
        merged = OutputTally(
            self.missing + other.missing,
            merge_counts(self.numbers, other.numbers),
            merge_counts(self.labels, other.labels),
            self.least,
            self.most,
        )
        merged._widen(other.least, other.most)
        return merged


Outputs = dict[str, OutputTally]
"""By column: "" where an answer's rows have one value each, or are vectors of which the largest place is counted."""


def add_outputs(champion: Outputs, candidate: Outputs, found: tuple[Outputs, Outputs]) -> None:
    """In place. Columns beyond `MOST_COLUMNS` are let go, and so are the names of labels beyond `MOST_LABELS`: of the
    same ones in both arms, as which of them each meets first is chance, and would look like drift."""
    ours, theirs = found
    for column in {**ours, **theirs}:
        if column not in champion:
            if len(champion) >= MOST_COLUMNS:
                continue
            champion[column], candidate[column] = OutputTally(), OutputTally()
        arms = (champion[column], candidate[column])
        named = {*arms[0].labels, *arms[1].labels} - {OTHER}
        for arm, tallies in zip(arms, found, strict=True):
            if column in tallies:
                arm.add(tallies[column], named)


def merge_outputs(left: Mapping[str, OutputTally], right: Mapping[str, OutputTally]) -> Outputs:
    return {
        column: left.get(column, OutputTally()).merged(right.get(column, OutputTally()))
        for column in left.keys() | right.keys()
    }


def bucket_of_number(number: float) -> int:
    """0 for 0; else 1 + the bucket of the magnitude, with the number's sign."""
    fraction, exponent = math.frexp(number if number >= 0 else -number)
    if exponent < _LEAST_EXPONENT or not fraction:
        return 0
    if exponent > _MOST_EXPONENT or fraction == math.inf:
        fraction, exponent = 0.5, _MOST_EXPONENT + 1
    bucket = 1 + (exponent - _LEAST_EXPONENT) * SUB_BUCKETS + int((fraction - 0.5) * 2 * SUB_BUCKETS)
    return bucket if number > 0 else -bucket


def _finite(number: float) -> float:
    """JSON knows no infinity."""
    return min(max(number, -_LARGEST), _LARGEST)


LAST_BUCKET = 1 + (_MOST_EXPONENT + 1 - _LEAST_EXPONENT) * SUB_BUCKETS


def edges_of(bucket: int) -> tuple[float, float]:
    """The numbers that fall into a bucket: from the first to the second, in rising order."""
    if bucket == 0:
        least = 2.0 ** (_LEAST_EXPONENT - 1)
        return -least, least
    low, high = _magnitude(abs(bucket)), _magnitude(abs(bucket) + 1)
    return (low, high) if bucket > 0 else (-high, -low)


def _magnitude(bucket: int) -> float:
    exponent, part = divmod(bucket - 1, SUB_BUCKETS)
    return math.ldexp(0.5 + part / (2 * SUB_BUCKETS), exponent + _LEAST_EXPONENT)


def wanted(seen: int, is_long: bool = False) -> bool:
    """Whether the pair after `seen` others is counted: told by the number and by the size alone, so that it is a fair
    sample of pairs that agree and of those that do not. Long ones are dear to read once more: of them always one in
    `THEN_ONE_IN`."""
    return seen % THEN_ONE_IN == 0 or (seen < WHOLE and not is_long)


def outputs_of_pair(
    champion: Answer, candidate: Answer, spec: AgreementSpec, path: bytes, names: Names | None = None
) -> tuple[Outputs, Outputs] | None:
    """What both answered; None where one of them cannot be read, lest one arm be counted without the other."""
    try:
        left = predictions(champion, spec, path)
        right = left if champion.same_as(candidate) else predictions(candidate, spec, path)
    except Unreadable:
        return None
    return outputs_of(left.rows, spec, left.meaning, names), outputs_of(right.rows, spec, right.meaning, names)


def outputs_of(rows: Sequence[object], spec: AgreementSpec, meaning: str = "", names: Names | None = None) -> Outputs:
    """The first rows of one answer. Texts count by their length, in characters; embeddings not at all.

    Where there are `names` that may be told, labels and columns of others are counted under OTHER, and numbers by
    their buckets alone: the least of them may be somebody's."""
    if spec.kind == "embedding" or meaning == "embedding":
        return {}
    outputs: Outputs = {}
    if spec.kind != "label" and rows and set(map(type, rows[:MOST_VALUES])) == {float}:
        outputs[""] = _of_floats(cast("Sequence[float]", rows[:MOST_VALUES]))
    else:
        _count_rows(outputs, rows, spec, names)
    if names is not None:
        for tally in outputs.values():
            tally.least = tally.most = None
    return outputs


def _count_rows(outputs: Outputs, rows: Sequence[object], spec: AgreementSpec, names: Names | None) -> None:
    """Where each name is looked for, so many values of all columns together are counted as else rows are."""
    measured, left = spec.kind in ("numeric", "probability"), MOST_VALUES
    for row in islice(rows, MOST_VALUES):
        columns = _columns(row, names)
        for column, value in columns:
            tally = outputs.get(column)
            if tally is None:
                if len(outputs) >= MOST_COLUMNS:
                    continue
                tally = outputs[column] = OutputTally()
            _count(tally, value, spec, measured, names)
        left -= len(columns)
        if names is not None and left <= 0:
            break


def _of_floats(numbers: Sequence[float]) -> OutputTally:
    """The common case without a call for each value but one."""
    known = [number for number in numbers if number == number]
    tally = OutputTally(missing=len(numbers) - len(known))
    counts = tally.numbers
    for number in known:
        bucket = bucket_of_number(number)
        counts[bucket] = counts.get(bucket, 0) + 1
    if known:
        tally.least, tally.most = _finite(min(known)), _finite(max(known))
    return tally


def _columns(row: object, names: Names | None) -> Sequence[tuple[str, object]]:
    if isinstance(row, dict):
        items = islice(row.items(), MOST_COLUMNS)
        return [(_told(_writable(str(name)[:LONGEST_LABEL]), names), value) for name, value in items]
    return (("", row),)


def _told(name: str, names: Names | None) -> str:
    return name if names is None or names.may_tell(name) else OTHER


def _count(tally: OutputTally, value: object, spec: AgreementSpec, measured: bool, names: Names | None) -> None:
    if isinstance(value, list):
        if spec.kind == "ranking" and float not in set(map(type, value)):
            value = _first(value)
        else:
            value, names = _largest(value, spec.classes), None  # a name that is ours
    if value is None or value != value:
        tally.missing += 1
    elif isinstance(value, float) and (measured or spec.kind != "label" or not value.is_integer()):
        tally.measure(value)
    elif measured and isinstance(value, int):
        tally.measure(float(min(max(value, -(2**80)), 2**80)))
    elif isinstance(value, str) and (len(value) > LONGEST_LABEL or spec.kind == "text"):
        tally.measure(float(len(value)))
    elif isinstance(value, str | int | float):
        label = _told(_label(value), names)
        tally.labels[label] = tally.labels.get(label, 0) + 1


def _label(value: Any) -> str:
    """Of a text, a whole number, a whole float or a truth value."""
    if isinstance(value, str):
        return _writable(value)
    number = int(value)
    return str(number) if number.bit_length() < 128 else "a large number"


def _writable(text: str) -> str:
    """JSON can escape half a surrogate pair, which is no text that could be sent on."""
    return text.encode(errors="replace").decode()


def _first(ranking: list[object]) -> object:
    """What stands first; the list itself, which does not count, where that is nothing with a name."""
    items = ranked(ranking[:1], 1)
    if items is None:
        return ranking
    return items[0] if items else None


def _largest(row: list[object], classes: Sequence[str]) -> object:
    """A vector's most probable class by its name, or its place where the order of the classes is not declared; the list
    itself, which does not count, where it is no vector."""
    numbers = [item for item in row if isinstance(item, int | float) and item == item]
    if not row or len(numbers) < len(row):
        return None if all(item is None or isinstance(item, int | float) for item in row) else row
    place = numbers.index(max(numbers))
    return classes[place] if len(classes) == len(row) else f"place {place}"
