"""What is read from an answer: its predictions, or why there are none.

Predictions are a msgspec structure: a frozen dataclass takes several times as long to make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import msgspec


class Unreadable(ValueError):
    """The body is not one that predictions can be read from; the message is a short reason, fit for a metric's
    label."""


class Unfit(Unreadable):
    """The body may be sound, but it is not for us to read: too large or too deep, or in an encoding that is not known
    here."""


class AnsweredError(Unreadable):
    """A success in name: the body tells of an error, or breaks off before its end."""


class Predictions(msgspec.Struct, frozen=True):
    """The rows of one answer, in the order they were sent: a list of them, or a tuple of one that came alone.

    `batch` tells whether the protocol promises a row for each instance of the request; of any other document it is only
    supposed. `resolution` is the relative step of the number type that the answer declares, 0.0 where it declares
    none."""

    rows: Sequence[object]
    batch: bool = False
    meaning: Literal["", "embedding", "text"] = ""
    resolution: float = 0.0


def parse(body: bytes | str) -> object:
    """JSON with or without the literals NaN and Infinity, which MLflow and TensorFlow Serving write and JSON forbids.

    Raises Unreadable."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("malformed_json") from None
    return parsed


def tells_of_error(document: dict[str, Any]) -> bool:
    """`{"error": ...}` as KServe, Triton, TensorFlow Serving and OpenAI have it, `{"error_code": ...}` as MLflow does.
    A number is no error: a model may predict one."""
    error = document.get("error") or document.get("error_code")
    return isinstance(error, str | dict) and bool(error)
