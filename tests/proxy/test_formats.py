from __future__ import annotations

import contextlib
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats import Predictions, Unreadable, predictions
from tests.strategies import json_values

JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ('{"predictions": [1, 2.5]}', (1, 2.5)),
        ('{"predictions": [[1], [2]]}', (1, 2)),
        ('{"predictions": [{"0": 1}, {"price": 2}]}', (1, 2)),
        ('{"predictions": [[1, 2], {"a": 1, "b": 2}]}', ([1, 2], {"a": 1, "b": 2})),
        ('{"predictions": "cat"}', ("cat",)),
        ('{"predictions": []}', ()),
        ("[1, 2]", (1, 2)),
        ('{"label": "cat", "score": 0.5}', ({"label": "cat", "score": 0.5},)),
        ("7", (7,)),
        ("null", (None,)),
        ('{"predictions": [Infinity, -Infinity]}', (math.inf, -math.inf)),
    ],
)
def test_the_rows_are_found(body: str, rows: tuple[object, ...]) -> None:
    assert predictions(body.encode(), JSON) == Predictions(rows)


def test_not_a_number_is_read_as_mlflow_writes_it() -> None:
    (row,) = predictions(b'{"predictions": [NaN]}', JSON).rows
    assert isinstance(row, float)
    assert math.isnan(row)


@pytest.mark.parametrize("content_type", ["", JSON, "Application/JSON; charset=utf-8", "application/problem+json"])
def test_json_is_known_by_its_content_type(content_type: str) -> None:
    assert predictions(b"[1]", content_type).rows == (1,)


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"1,2", "text/csv", "not_json"),
        (b"", JSON, "malformed_json"),
        (b"{", JSON, "malformed_json"),
        (b'{"predictions": "\xff"}', JSON, "malformed_json"),
        (b"[" * 100_000, JSON, "malformed_json"),
        (b"1" * 10_000, JSON, "malformed_json"),
    ],
    ids=["csv", "empty", "cut", "not utf-8", "nested beyond reason", "more digits than any number"],
)
def test_what_cannot_be_read_says_why(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=f"^{reason}$"):
        predictions(body, content_type)


@given(st.binary(), st.text())
def test_any_bytes_are_rows_or_unreadable(body: bytes, content_type: str) -> None:
    with contextlib.suppress(Unreadable):
        assert isinstance(predictions(body, content_type).rows, tuple)


@given(st.lists(json_values))
def test_a_list_has_a_row_for_each_of_its_items(items: list[object]) -> None:
    body = msgspec.json.encode({"predictions": items})
    assert len(predictions(body, JSON).rows) == len(items)
