"""Find the predictions in the body of an answer."""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec


class Unreadable(ValueError):
    """The body is not one that predictions can be read from; the message is a short reason, fit for a metric's
    label."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The rows of one answer, each unwrapped from its single column, in the order they were sent."""

    rows: tuple[object, ...]


def predictions(body: bytes, content_type: str) -> Predictions:
    """The predictions of a JSON answer: `{"predictions": ...}` as MLflow, KServe V1 and TensorFlow Serving write it,
    else the whole document as one row.

    Raises Unreadable."""
    if content_type and "json" not in content_type.lower():
        raise Unreadable("not_json")
    document = _parse(body)
    found = document["predictions"] if isinstance(document, dict) and "predictions" in document else document
    if isinstance(found, list):
        return Predictions(tuple(map(_unwrapped, found)))
    return Predictions((found,))


def _parse(body: bytes) -> object:
    """JSON with or without the literals NaN and Infinity, which MLflow and TensorFlow Serving write and JSON
    forbids."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("malformed_json") from None
    return parsed


def _unwrapped(row: object) -> object:
    """`[1]`, `{"0": 1}` and `{"column": 1}` are one column of one row: three spellings of the same prediction."""
    if isinstance(row, list) and len(row) == 1:
        return row[0]
    if isinstance(row, dict) and len(row) == 1:
        return next(iter(row.values()))
    return row
