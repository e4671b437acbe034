from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.comparison import Answer, Comparison, compare
from proxy.snapshot import AgreementSpec
from tests.strategies import json_values, specs

SPEC = AgreementSpec(relative=0.01, absolute=0.001)
EXACT = AgreementSpec(relative=0, absolute=0)

statuses = st.integers(200, 599)
bodies = st.none() | st.binary(max_size=60) | json_values.map(json.dumps).map(str.encode)
answers = st.builds(
    Answer, statuses, st.sampled_from(["", "application/json", "text/csv"]), st.sampled_from(["", "gzip"]), bodies
)
readable = json_values.map(lambda value: _json({"predictions": value}))


def _json(document: object, status: int = 200) -> Answer:
    return Answer(status, "application/json", "", json.dumps(document).encode())


def _rows(*rows: object) -> Answer:
    return _json({"predictions": rows})


@given(answers, answers, specs)
@settings(max_examples=300)
def test_any_two_answers_have_a_comparison(one: Answer, other: Answer, spec: AgreementSpec) -> None:
    found = compare(one, other, spec)
    assert not (found.finding and found.skipped)
    assert bool(found.finding) == bool(found.rows_disagreed)
    assert 0 <= found.rows_disagreed <= found.rows
    assert 0 <= found.largest_gap < math.inf


@given(answers, specs)
def test_an_answer_agrees_with_itself_or_is_not_compared(answer: Answer, spec: AgreementSpec) -> None:
    assert compare(answer, answer, spec).finding == ""


@given(readable, specs)
def test_another_spelling_of_the_same_json_agrees(answer: Answer, spec: AgreementSpec) -> None:
    assert answer.body is not None
    spaced = Answer(200, "application/json", "", b" " + answer.body)
    assert compare(answer, spaced, spec).finding == ""


@given(answers, answers)
@settings(max_examples=300)
def test_without_a_relative_tolerance_it_is_symmetric(one: Answer, other: Answer) -> None:
    """The relative part goes by the served answer's size, so only that part may tell the sides apart."""
    spec = AgreementSpec(relative=0, absolute=0.5)
    there, back = compare(one, other, spec), compare(other, one, spec)
    assert (bool(there.finding), there.rows_disagreed, there.rows) == (
        bool(back.finding),
        back.rows_disagreed,
        back.rows,
    )
    assert bool(there.skipped) == bool(back.skipped)


@pytest.mark.parametrize(
    ("served", "other", "finding"),
    [
        ([1.0], [1.0], ""),
        ([1.0], [1.0005], ""),
        ([100.0], [100.9], ""),
        ([100.0], [102.0], "number"),
        ([0.0], [0.0009], ""),
        ([0.0], [0.002], "number"),
        ([1], [1.0005], ""),
        ([1], [2], "label"),
        ([1000], [1001], "label"),
        (["cat"], ["cat"], ""),
        (["cat"], ["dog"], "value"),
        ([1.0], ["1.0"], "type"),
        ([None], [0], "type"),
        ([None], [None], ""),
        ([1.0, 2.0], [1.0], "row_count"),
        ([[1.0, 2.0]], [[1.0, 2.0, 3.0]], "shape"),
        ([[1.0, 2.0]], [[1.0, 2.5]], "number"),
        ([{"a": 1.0, "b": "x"}], [{"b": "x", "a": 1.0}], ""),
        ([{"a": 1.0, "b": "x"}], [{"a": 1.0, "c": "x"}], "fields"),
        ([{"a": 1.0, "b": "x"}], [{"a": 1.0, "b": "y"}], "value"),
        ([{"a": [1.0, {"b": 5.0}], "c": 0}], [{"a": [1.0, {"b": 9.0}], "c": 0}], "number"),
        ([math.nan], [math.nan], ""),
        ([math.nan], [1.0], "nan"),
        ([math.inf], [math.inf], ""),
        ([math.inf], [1.0], "infinite"),
        ([math.inf], [-math.inf], "infinite"),
        ([1e308], [-1e308], "infinite"),
        ([10**400], [1.0], "number"),
        ([[1.0]], [{"price": 1.0}], ""),
    ],
    ids=str,
)
def test_the_first_difference_has_a_name(served: list[Any], other: list[Any], finding: str) -> None:
    assert compare(_rows(*served), _rows(*other), SPEC).finding == finding


def test_the_relative_tolerance_is_that_of_the_served_answer() -> None:
    spec = AgreementSpec(relative=0.1, absolute=0)
    assert compare(_rows(100.0), _rows(110.0), spec).finding == ""
    assert compare(_rows(110.0), _rows(98.0), spec).finding == "number"


def test_rows_and_the_largest_gap_are_counted() -> None:
    found = compare(_rows(1.0, 2.0, 3.0), _rows(1.5, 2.0, 5.0), SPEC)
    assert found == Comparison("number", rows=3, rows_disagreed=2, largest_gap=2.0)


def test_a_gap_within_the_tolerance_counts_as_a_gap_too() -> None:
    found = compare(_rows(100.0), _rows(100.5), SPEC)
    assert (found.finding, found.largest_gap) == ("", 0.5)


def test_other_row_counts_disagree_in_every_row() -> None:
    assert compare(_rows(1.0, 2.0, 3.0), _rows(1.0), SPEC) == Comparison("row_count", rows=3, rows_disagreed=3)


@pytest.mark.parametrize(
    ("served", "other", "skipped"),
    [
        (_rows(1.0), _json({}, status=500), "not_both_succeeded"),
        (_json({}, status=404), _rows(1.0), "not_both_succeeded"),
        (_rows(1.0), Answer(200, "application/json", "", None), "body_too_large"),
        (_rows(1.0), Answer(200, "application/json", "gzip", b"zzz"), "encoded"),
        (_rows(1.0), Answer(200, "text/csv", "", b"1.0"), "not_json"),
        (_rows(1.0), Answer(200, "application/json", "", b"{"), "malformed_json"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_compared_says_why(served: Answer, other: Answer, skipped: str) -> None:
    assert compare(served, other, SPEC) == Comparison(skipped=skipped)


def test_the_same_bytes_in_the_same_encoding_agree_unread() -> None:
    answer = Answer(200, "image/png", "gzip", b"\x89PNG")
    assert compare(answer, answer, EXACT) == Comparison()


@pytest.mark.parametrize("depth", [100, 300, 600, 900, 5_000])
def test_answers_nested_beyond_reason_are_not_compared_or_agree(depth: int) -> None:
    nested = Answer(200, "application/json", "", b"[" * depth + b"]" * depth)
    spaced = Answer(200, "application/json", "", b" " + (nested.body or b""))
    assert compare(nested, spaced, SPEC).finding == ""
