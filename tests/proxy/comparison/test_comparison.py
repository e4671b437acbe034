from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.comparison import Answer, Comparison, compare
from proxy.snapshot import AgreementSpec, Kind
from tests.proxy.comparison.answers import JSON, json_answer, rows_answer
from tests.strategies import json_values, specs

SPEC = AgreementSpec(relative=0.01, absolute=0.001)
EXACT = AgreementSpec(relative=0, absolute=0)

statuses = st.integers(200, 599)
fields = st.lists(
    st.sampled_from(
        [
            JSON,
            (b"content-type", b"text/csv"),
            (b"content-type", b"text/event-stream"),
            (b"content-encoding", b"gzip"),
            (b"inference-header-content-length", b"9"),
        ]
    ),
    max_size=2,
)
bodies = st.none() | st.binary(max_size=60) | json_values.map(json.dumps).map(str.encode)
answers = st.builds(Answer, statuses, fields, bodies)
readable = json_values.map(lambda value: json_answer({"predictions": value}))
numbers = st.lists(st.floats() | st.integers() | st.none() | st.booleans(), max_size=6)
plain = st.builds(AgreementSpec, st.floats(0, 10), st.floats(0, 10))


def _lawful(found: Comparison) -> None:
    assert not (found.finding and found.skipped)
    assert not found.finding or found.rows_disagreed
    assert 0 <= found.rows_disagreed <= found.rows
    assert 0 <= found.largest_gap < math.inf


@given(answers, answers, specs)
@settings(max_examples=300)
def test_any_two_answers_have_a_comparison(one: Answer, other: Answer, spec: AgreementSpec) -> None:
    _lawful(compare(one, other, spec))


@given(numbers, numbers, specs)
def test_any_two_rows_of_numbers_have_a_comparison(one: list[object], other: list[object], spec: AgreementSpec) -> None:
    _lawful(compare(rows_answer(*one), rows_answer(*other), spec))
    _lawful(compare(rows_answer(one, other), rows_answer(other, one), spec))


@given(answers, specs)
def test_an_answer_agrees_with_itself_or_is_not_compared(answer: Answer, spec: AgreementSpec) -> None:
    assert compare(answer, answer, spec).finding == ""


@given(readable, specs)
def test_another_spelling_of_the_same_json_agrees(answer: Answer, spec: AgreementSpec) -> None:
    assert answer.body is not None
    spaced = Answer(200, [JSON], b" " + answer.body)
    found = compare(answer, spaced, spec)
    assert found.finding == ""
    assert not found.candidate_failure


@given(readable, readable)
@settings(max_examples=300)
def test_without_a_relative_tolerance_it_is_symmetric(one: Answer, other: Answer) -> None:
    """The relative part goes by the champion's size, so only that part may tell the sides apart."""
    spec = AgreementSpec(relative=0, absolute=0.5)
    there, back = compare(one, other, spec), compare(other, one, spec)
    assert (bool(there.finding), there.rows_disagreed, there.rows) == (
        bool(back.finding),
        back.rows_disagreed,
        back.rows,
    )
    assert bool(there.skipped) == bool(back.skipped)


@pytest.mark.parametrize(
    ("champion", "candidate", "finding"),
    [
        ([1.0], [1.0], ""),
        ([1.0], [1.0005], ""),
        ([100.0], [100.9], ""),
        ([100.0], [102.0], "number"),
        ([-100.0], [-100.9], ""),
        ([0.0], [0.0009], ""),
        ([0.0], [0.002], "number"),
        ([1], [1.0005], ""),
        ([1], [True], ""),
        ([1], [2], "label"),
        ([1000], [1001], "label"),
        (["cat"], ["cat"], ""),
        (["cat"], ["dog"], "value"),
        ([1.0], ["1.0"], "type"),
        ([None], [0], "lost_nan"),
        ([0], [None], "new_nan"),
        ([None], [math.nan], ""),
        ([None], [None], ""),
        ([None], ["cat"], "lost_nan"),
        ([None], [{"a": 1, "b": 2}], "type"),
        ([1.0, 2.0], [1.0], "row_count"),
        ([[1.0, 2.0]], [[1.0, 2.0, 3.0]], "shape"),
        ([[1.0, 2.0]], [[1.0, 2.5]], "number"),
        ([{"a": 1.0, "b": "x"}], [{"b": "x", "a": 1.0}], ""),
        ([{"a": 1.0, "b": "x"}], [{"a": 1.0, "c": "x"}], "fields"),
        ([{"a": 1.0, "b": "x"}], [{"a": 1.0, "b": "y"}], "value"),
        ([{"a": [1.0, {"b": 5.0}], "c": 0}], [{"a": [1.0, {"b": 9.0}], "c": 0}], "number"),
        ([math.nan], [math.nan], ""),
        ([math.nan], [1.0], "lost_nan"),
        ([1.0], [math.nan], "new_nan"),
        ([math.inf], [math.inf], ""),
        ([math.inf], [1.0], "infinite"),
        ([math.inf], [-math.inf], "infinite"),
        ([1e308], [-1e308], "infinite"),
        ([10**400], [1.0], "number"),
        ([[1.0]], [{"price": 1.0}], ""),
        (["cat"], [[0.1, 0.9]], "label_or_probability"),
        ([1], [[0.1, 0.9]], "label_or_probability"),
    ],
    ids=str,
)
def test_the_first_difference_has_a_name(champion: list[Any], candidate: list[Any], finding: str) -> None:
    assert compare(rows_answer(*champion), rows_answer(*candidate), SPEC).finding == finding


def test_the_relative_tolerance_is_that_of_the_champions_answer() -> None:
    spec = AgreementSpec(relative=0.1, absolute=0)
    assert compare(rows_answer(100.0), rows_answer(110.0), spec).finding == ""
    assert compare(rows_answer(110.0), rows_answer(98.0), spec).finding == "number"


def test_rows_and_the_largest_gap_are_counted() -> None:
    found = compare(rows_answer(1.0, 2.0, 3.0), rows_answer(1.5, 2.0, 5.0), SPEC)
    assert found == Comparison("number", rows=3, rows_disagreed=2, largest_gap=2.0)


def test_a_gap_within_the_tolerance_counts_as_a_gap_too() -> None:
    found = compare(rows_answer(100.0), rows_answer(100.5), SPEC)
    assert (found.finding, found.largest_gap) == ("", 0.5)


# The same model, served in two ways

SAME = [
    {"predictions": [0.10000000149011612, 0.9]},
    {"predictions": [0.1, 0.9]},
    {"predictions": [[0.1], [0.9]]},
    {"predictions": [{"0": 0.1}, {"0": 0.9}]},
    {"outputs": [[0.1], [0.9]]},
    {"model_name": "m", "outputs": [{"name": "y", "shape": [2], "datatype": "FP32", "data": [0.1, 0.9]}]},
    {"id": "7", "outputs": [{"name": "z", "shape": [2, 1], "datatype": "FP64", "data": [[0.1], [0.9]]}]},
]  # fmt: skip


@pytest.mark.parametrize("one", SAME, ids=str)
@pytest.mark.parametrize("other", SAME, ids=str)
@pytest.mark.parametrize("kind", ["auto", "numeric", "probability"])
def test_one_model_agrees_with_itself_however_it_is_served(one: object, other: object, kind: Kind) -> None:
    spec = AgreementSpec(relative=0, absolute=0, kind=kind, precision="float32")
    found = compare(json_answer(one), json_answer(other), spec, b"/v1/models/m:predict")
    assert (found.finding, found.skipped, found.candidate_failure) == ("", "", "")


def test_a_declared_number_type_is_not_asked_for_more_than_it_has() -> None:
    half = {"outputs": [{"name": "y", "shape": [1], "datatype": "FP32", "data": [0.10000000149011612]}]}
    double = {"outputs": [{"name": "y", "shape": [1], "datatype": "FP64", "data": [0.1]}]}
    assert compare(json_answer(half), json_answer(double), EXACT).finding == ""
    assert compare(json_answer({"predictions": [0.10000000149011612]}), json_answer(double), EXACT).finding == "number"


def test_a_declared_float_is_measured_however_it_is_written() -> None:
    """JavaScript, Go and others write 1000.0 as 1000."""

    def v2(datatype: str, data: list[float]) -> Answer:
        return json_answer({"outputs": [{"name": "y", "shape": [2], "datatype": datatype, "data": data}]})

    assert compare(v2("FP32", [1000, 0.5]), v2("FP32", [1001, 0.5]), SPEC).finding == ""
    assert compare(v2("FP32", [1000, 0.5]), v2("FP32", [1020, 0.5]), SPEC).finding == "number"
    assert compare(v2("INT64", [1000, 1]), v2("INT64", [1001, 1]), SPEC).finding == "label"


def test_a_v2_answer_is_matched_by_name() -> None:
    a = {"name": "a", "shape": [1], "datatype": "INT64", "data": [1]}
    b = {"name": "b", "shape": [1], "datatype": "INT64", "data": [2]}
    assert compare(json_answer({"outputs": [a, b]}), json_answer({"outputs": [b, a]}), EXACT).finding == ""


# Names of columns


@pytest.mark.parametrize(
    ("kind", "champion", "candidate", "finding"),
    [
        ("json", [{"approved": 1}], [{"rejected": 1}], "fields"),
        ("json", [{"approved": 1}], [{"approved": 1}], ""),
        ("json", [{"approved": 1}], [{"approved": 0}], "label"),
        ("json", [[1], [2]], [[1], [2.0]], ""),
        ("auto", [{"approved": 1}], [{"0": 1}], ""),
        ("auto", [{"a": 1}, {"a": 1, "b": 2}], [{"c": 1}, {"a": 1, "b": 2}], "fields"),
        ("auto", [{"a": 1, "b": 2}, {"a": 1}], [{"a": 1, "b": 2}, {"c": 1}], "fields"),
        ("auto", [None, {"a": 1}], [None, {"0": 1}], ""),
    ],
    ids=str,
)
def test_a_name_is_a_field_where_fields_are_compared_or_there_are_several(
    kind: Kind, champion: list[Any], candidate: list[Any], finding: str
) -> None:
    spaced = Answer(200, [JSON], b" " + (rows_answer(*candidate).body or b""))
    for other in (rows_answer(*candidate), spaced):
        assert compare(rows_answer(*champion), other, AgreementSpec(kind=kind)).finding == finding


@pytest.mark.parametrize(
    ("champion", "candidate"),
    [
        ([["a"], ["b"], ["c"]], [["a"], ["b", "d"], ["c"]]),
        ([{"y": "a"}, {"y": "b"}, {"y": "c"}], [{"y": "a"}, {"y": "b", "why": "d"}, {"y": "c"}]),
        (["a", "b", "c"], [["a"], ["b", "d"], ["c"]]),
    ],
    ids=["lists", "records", "labels"],
)
def test_a_row_of_several_columns_makes_no_others_differ(champion: list[Any], candidate: list[Any]) -> None:
    for one, other in ((champion, candidate), (candidate, champion)):
        found = compare(rows_answer(*one), rows_answer(*other), SPEC)
        assert (found.rows_disagreed, found.row) == (1, 1)


def _chat(content: str | None, calls: list[tuple[str, str]] = [], created: int = 0) -> Answer:  # noqa: B006
    made = [{"id": f"c{created}", "function": {"name": name, "arguments": told}} for name, told in calls]
    message = {"role": "assistant", "content": content, "tool_calls": made}
    return json_answer({"id": f"x{created}", "created": created, "choices": [{"index": 0, "message": message}]})


def test_chats_are_compared_by_what_is_said_and_called() -> None:
    assert compare(_chat("Paris."), _chat("paris.", created=7), SPEC).finding == ""
    assert compare(_chat("Paris."), _chat("It is London, of course."), SPEC).finding == "text"
    call = [("weather", '{"city": "Paris", "days": 2}')]
    assert compare(_chat(None, call), _chat("", [("weather", '{"days":2,"city":"Paris"}')], 7), SPEC).finding == ""
    assert compare(_chat(None, call), _chat(None, [("weather", '{"city": "Rome"}')]), SPEC).finding == "tool_calls"
    assert compare(_chat(None, call), _chat("Sunny."), SPEC).finding == "tool_calls"


# Defects that a team would want to be told of


def test_one_label_in_a_hundred_is_ten_rows_of_a_thousand() -> None:
    champion = [row % 7 for row in range(1000)]
    candidate = [(label + 1) % 7 if row % 100 == 3 else label for row, label in enumerate(champion)]
    found = compare(rows_answer(*champion), rows_answer(*candidate), AgreementSpec(kind="label"))
    assert (found.finding, found.rows_disagreed, found.rows) == ("label", 10, 1000)


@pytest.mark.parametrize("kind", ["auto", "probability", "numeric"])
def test_a_shift_of_two_hundredths_is_found_and_measured(kind: Kind) -> None:
    champion = [[row / 1000, 1 - row / 1000] for row in range(100, 900)]
    candidate = [[p + 0.02, q - 0.02] for p, q in champion]
    found = compare(rows_answer(*champion), rows_answer(*candidate), AgreementSpec(0.0, 0.001, kind=kind))
    assert found.rows_disagreed == 800
    assert found.largest_gap == pytest.approx(0.02)
    flips = [abs(p - 0.49) < 0.0099 for p, _ in champion]
    exact = AgreementSpec(0.0, 0.03, kind=kind)
    assert compare(rows_answer(*champion), rows_answer(*candidate), exact).rows_disagreed == pytest.approx(
        sum(flips) if kind == "probability" else 0, abs=2
    )


def test_no_number_for_one_category_is_a_failure_by_name() -> None:
    champion = [0.25 * (row % 4) for row in range(100)]
    candidate = [math.nan if row % 4 == 2 else value for row, value in enumerate(champion)]
    found = compare(rows_answer(*champion), rows_answer(*candidate), SPEC)
    assert (found.finding, found.rows_disagreed, found.candidate_failure) == ("new_nan", 25, "new_nan")


def test_swapped_columns_are_found_in_every_row() -> None:
    champion = [{"low": float(row), "high": row + 5.0} for row in range(50)]
    candidate = [{"low": row["high"], "high": row["low"]} for row in champion]
    found = compare(rows_answer(*champion), rows_answer(*candidate), SPEC)
    assert (found.finding, found.rows_disagreed, found.largest_gap) == ("number", 50, 5.0)
