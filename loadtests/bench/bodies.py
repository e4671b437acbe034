"""The bodies of the load: MLflow's scoring JSON, of about a wanted size, the same in every run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import count
from typing import Literal, TypeVar

Answers = Literal["equal", "close"]
T = TypeVar("T")

SMALL = 200
_COLUMNS = ["amount", "age", "hour", "country_risk"]


def request(size: int) -> bytes:
    """A `dataframe_split` of about `size` bytes, with one row at least."""
    rows = ([round(3.5 + i * 1.25, 2), 18 + i % 70, i % 24, _probability(i)] for i in count())
    empty = {"columns": _COLUMNS, "data": []}
    data = _fitting(rows, size - len(json.dumps({"dataframe_split": empty})))
    return json.dumps({"dataframe_split": {**empty, "data": data}}).encode()


def answer(size: int, answers: Answers = "equal") -> bytes:
    """Predictions of about `size` bytes, written as MLflow writes doubles, with all their digits.

    `equal` is what the champion answers. `close` is another model's answer: each number is 0.1 % off, within the usual
    tolerance of 1 %, so that both bodies have to be parsed and every number compared."""
    numbers = _fitting(map(_probability, count()), size - len(json.dumps({"predictions": []})))
    factor = 1.001 if answers == "close" else 1.0
    return json.dumps({"predictions": [number * factor for number in numbers]}).encode()


def _probability(index: int) -> float:
    """A number between 0.01 and 0.98, spread by the golden ratio: repeatable, and never a round one."""
    return 0.01 + (index + 1) * 0.6180339887498949 % 1 * 0.97


def _fitting(values: Iterable[T], room: int) -> list[T]:
    """As many of `values` as fit into `room` bytes of JSON, one at least."""
    fitted: list[T] = []
    for value in values:
        room -= len(json.dumps(value)) + len(", ")
        if room < 0 and fitted:
            break
        fitted.append(value)
    return fitted
