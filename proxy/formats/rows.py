"""Rows as MLflow, KServe V1 and TensorFlow Serving write them: `predictions`, or the columns of `outputs`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from proxy.formats.reading import Predictions

ROWS_MARK = b'{"predictions":'
ROWS_FORMATS = frozenset(("auto", "mlflow", "kserve_v1", "tf_serving"))


class _Document(msgspec.Struct):
    predictions: Any


decode_rows = msgspec.json.Decoder(_Document).decode
"""What most answers are: a document that begins with `ROWS_MARK` is nothing else, compressed or not. Raises ValueError
for numbers that JSON does not know."""


def in_rows(found: object) -> Predictions:
    """`{"predictions": [...]}`: a row for each instance, or one that is no list."""
    return Predictions(found if isinstance(found, list) else (found,), batch=True)


def in_columns(outputs: object) -> Predictions:
    """TensorFlow Serving's `{"outputs": ...}`: one column, or several by name, of which each row has its part."""
    if not isinstance(outputs, dict):
        return in_rows(outputs)
    return Predictions(transposed(outputs), batch=True)


def transposed(columns: Mapping[str, object]) -> Sequence[object]:
    """The rows of columns of the same length; columns of different ones are a single row."""
    if len(columns) == 1:
        (column,) = columns.values()
        return column if isinstance(column, list) else (column,)
    lists = [unwrapped(column) for column in columns.values() if isinstance(column, list)]
    if not columns or len(lists) < len(columns) or len(set(map(len, lists))) > 1:
        return (dict(columns),)
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def unwrapped(rows: list[object]) -> list[object]:
    """`[1]`, `{"0": 1}` and `{"column": 1}` are one column of one row: three spellings of the same prediction. Where
    any row has more columns than one, all keep theirs, and the names of them."""
    first = rows[0] if rows else None
    if first is None:
        first = next((row for row in rows if row is not None), None)
    if isinstance(first, list | dict) and len(first) == 1 and not any(map(_has_columns, rows)):
        return [_unwrapped(row) for row in rows]
    return rows


def unwrapped_alike(one: Sequence[object], other: Sequence[object]) -> tuple[Sequence[object], Sequence[object]]:
    """Two answers' rows, of which one side has no names of columns: then those of the other are no difference."""
    if one and other and isinstance(one[0], list | dict) is not isinstance(other[0], list | dict):
        return [_unwrapped(row) for row in one], [_unwrapped(row) for row in other]
    return one, other


def _has_columns(row: object) -> bool:
    return isinstance(row, list | dict) and len(row) != 1


def _unwrapped(row: object) -> object:
    if isinstance(row, list) and len(row) == 1:
        return row[0]
    if isinstance(row, dict) and len(row) == 1:
        ((name, value),) = row.items()
        return _text_of(value) if name == "b64" and isinstance(value, str) else value
    return row


def _text_of(encoded: str) -> str:
    """A string tensor's element, which TensorFlow Serving writes as `{"b64": ...}` where it is bytes."""
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        return encoded
