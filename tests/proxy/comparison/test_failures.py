"""Answers that are failures though their status is 200, and pairs that are not compared."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest

from proxy.comparison import Answer, Comparison, compare
from proxy.snapshot import AgreementSpec
from tests.proxy.comparison.answers import JSON, json_answer, rows_answer

SPEC = AgreementSpec(relative=0.01, absolute=0.001)
EXACT = AgreementSpec(relative=0, absolute=0)
CLASSES = AgreementSpec(kind="label", classes=("cat", "dog"))


def _stream(data: bytes) -> Answer:
    return Answer(200, [(b"content-type", b"text/event-stream")], b"data: %b\n\n" % data)


@pytest.mark.parametrize(
    ("candidate", "failure"),
    [
        (json_answer({}, status=400), "status_4xx"),
        (json_answer({"error": "CUDA out of memory"}), "error_in_200"),
        (rows_answer(math.nan, 1.0), "new_nan"),
        (rows_answer(9.0, None), "new_nan"),
        (rows_answer(1.0), "changed_shape"),
        (rows_answer([1.0, 2.0], [1.0, 2.0]), ""),
        (Answer(200, [JSON], b'{"predic'), "unreadable"),
        (Answer(200, [(b"content-type", b"text/html")], b"<h1>Sign in</h1>"), "unreadable"),
        (_stream(b'{"error": "no"}'), "error_in_stream"),
        (
            Answer(
                200, [(b"content-type", b"text/event-stream")], b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
            ),
            "truncated_stream",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_success_in_name_can_be_a_failure(candidate: Answer, failure: str) -> None:
    found = compare(rows_answer(1.0, 1.0), candidate, SPEC)
    assert (found.candidate_failure, found.champion_failure) == (failure, "")


@pytest.mark.parametrize(
    ("champion", "candidate"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0]]),
        ([[0.2, 0.8], [0.3, 0.7]], [[0.8], [0.7]]),
        ([[0.2, 0.3, 0.5], [0.3, 0.3, 0.4]], [2, 2]),
        ([[0.2, 0.3, 0.5], [0.3, 0.3, 0.4]], [[0.2, 0.3, 0.5], {"2": 0.4, "1": 0.6}]),
        ([[0.2, 0.8], [0.3, 0.7]], [None, [0.3, 0.7]]),
    ],
    ids=str,
)
def test_vectors_of_another_shape_are_a_failure_where_the_protocol_promises_rows(
    champion: list[Any], candidate: list[Any]
) -> None:
    assert compare(rows_answer(*champion), rows_answer(*candidate), SPEC).candidate_failure == "changed_shape"
    assert compare(json_answer(champion), json_answer(candidate), SPEC).candidate_failure == ""
    fields = compare(rows_answer(*champion), rows_answer(*candidate), AgreementSpec(kind="json"))
    assert (bool(fields.finding), fields.candidate_failure) == (True, "")


@pytest.mark.parametrize(
    ("spec", "champion", "candidate"),
    [
        (SPEC, [[1, 2, 3], [3, 4]], [[1, 2], [3, 4]]),
        (SPEC, [[1, 2, 3], [3]], [[1, 2], [3]]),
        (SPEC, [["a"], ["b", "c"]], [["a", "d"], ["b", "c"]]),
        (SPEC, [[], []], [[1, 2], []]),
        (CLASSES, [[0.2, 0.8], [0.3, 0.7]], ["dog", "cat"]),
    ],
    ids=str,
)
def test_rows_that_promise_no_shape_differ_but_are_no_failure(
    spec: AgreementSpec, champion: list[Any], candidate: list[Any]
) -> None:
    """Detections and tokens are as many as there are; of a label that stands for a vector, the classes are declared."""
    found = compare(rows_answer(*champion), rows_answer(*candidate), spec)
    assert (found.rows_disagreed, found.candidate_failure) == (1, "")


def test_the_champions_errors_are_its_own() -> None:
    found = compare(json_answer({"error": "no"}), rows_answer(1.0), SPEC)
    assert found == Comparison(skipped="not_both_succeeded", champion_failure="error_in_200")
    found = compare(json_answer({"error": "no"}), json_answer({"error": "neither"}), SPEC)
    assert (found.champion_failure, found.candidate_failure) == ("error_in_200", "error_in_200")


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (json_answer({"error": "boom"}), "error_in_200"),
        (json_answer({"error_code": "BAD_REQUEST", "message": "boom"}), "error_in_200"),
        (_stream(b'{"error": "boom"}'), "error_in_stream"),
        (json_answer({"error": 0.25}), ""),
        (json_answer({"error": ""}), ""),
        (rows_answer({"error": 0.25, "x": 1}), ""),
        (Answer(200, [JSON], b'{"error'), ""),
        (Answer(200, [(b"content-type", b"text/csv")], b"error,x"), ""),
    ],
    ids=lambda value: str(value.body) if isinstance(value, Answer) else value,
)
def test_two_that_tell_of_the_same_error_have_both_failed(answer: Answer, failure: str) -> None:
    found = compare(answer, answer, SPEC)
    assert (found.champion_failure, found.candidate_failure) == (failure, failure)
    assert found == (
        Comparison(skipped="not_both_succeeded", champion_failure=failure, candidate_failure=failure)
        if failure
        else Comparison()
    )


@pytest.mark.parametrize(
    ("spec", "champion", "candidate"),
    [
        (SPEC, [{"x": 1.0, "y": 2.0}], [{"x": 5.0, "y": math.nan}]),
        (SPEC, [{"x": 1.0, "y": 2.0}], [{"x": 5.0, "y": None}]),
        (SPEC, [{"x": 1.0, "y": [2.0, 3.0]}], [{"x": 5.0, "y": [2.0, math.nan]}]),
        (SPEC, [{"x": 1.0, "y": 2.0}], [{"x": math.nan, "z": 2.0}]),
        (SPEC, [[1.0, 2.0]], [[5.0, math.nan]]),
        (SPEC, [[1.0, 2.0]], [[math.nan, 2.0, 3.0]]),
        (SPEC, [10**400], [math.nan]),
        (SPEC, ["cat", "dog"], ["cat", math.nan]),
        (SPEC, ["cat", "dog"], ["cat", None]),
        (SPEC, [True, False], [None, False]),
        (AgreementSpec(kind="label"), ["cat", "dog"], ["cat", math.nan]),
        (AgreementSpec(kind="label"), ["cat", "dog"], ["cat", None]),
        (AgreementSpec(kind="label"), [1, 2], [1, None]),
        (CLASSES, [[0.1, 0.9]], [[math.nan, math.nan]]),
        (CLASSES, [[0.1, 0.9]], [[0.1, None]]),
        (CLASSES, ["dog"], [[math.nan, math.nan]]),
        (AgreementSpec(kind="probability"), [[0.1, 0.9]], [[0.9, math.nan]]),
        (AgreementSpec(kind="text"), ["yes", "no"], ["well", None]),
    ],
    ids=str,
)
def test_a_value_that_is_gone_is_a_failure_whatever_else_differs(
    spec: AgreementSpec, champion: list[Any], candidate: list[Any]
) -> None:
    assert compare(rows_answer(*champion), rows_answer(*candidate), spec).candidate_failure == "new_nan"


def test_a_row_of_which_a_value_is_gone_has_the_name_of_that() -> None:
    found = compare(rows_answer({"x": 1.0, "y": 2.0}), rows_answer({"x": 5.0, "y": math.nan}), SPEC)
    assert (found.finding, found.candidate_failure) == ("new_nan", "new_nan")
    found = compare(rows_answer(1.0, 2.0), rows_answer(5.0, math.nan), SPEC)
    assert (found.finding, found.candidate_failure) == ("number", "new_nan"), "a pair has the name of its first row's"


def test_of_fields_null_is_a_value() -> None:
    spec = AgreementSpec(kind="json")
    found = compare(rows_answer({"a": 1, "why": "x"}), rows_answer({"a": 2, "why": None}), spec)
    assert (found.finding, found.candidate_failure) == ("label", "")
    found = compare(rows_answer({"a": 1, "why": "x"}), rows_answer({"a": 1, "why": None}), spec)
    assert (found.finding, found.candidate_failure) == ("new_nan", "")


def test_not_a_number_on_both_sides_is_no_failure() -> None:
    assert compare(rows_answer(math.nan, 1.0), rows_answer(math.nan, 2.0), SPEC).candidate_failure == ""


@pytest.mark.parametrize(
    ("spec", "one", "other"),
    [
        (SPEC, [{"x": math.nan, "y": 1}], [{"x": None, "y": 1}]),
        (AgreementSpec(kind="label"), [None, "a"], [math.nan, "a"]),
        (AgreementSpec(kind="label"), [[math.nan, 1]], [[None, 1]]),
        (AgreementSpec(kind="label"), [{"x": math.nan, "y": 1}], [{"x": math.nan, "y": 1}]),
        (CLASSES, [[math.nan, math.nan]], [[math.nan, math.nan]]),
        (CLASSES, [[math.nan, 0.5]], [None]),
    ],
    ids=str,
)
def test_two_values_that_are_none_agree(spec: AgreementSpec, one: list[Any], other: list[Any]) -> None:
    spaced = Answer(200, [JSON], b" " + (rows_answer(*other).body or b""))
    found = compare(rows_answer(*one), spaced, spec)
    assert (found.finding, found.candidate_failure) == ("", "")


def test_two_binary_vectors_without_numbers_agree() -> None:
    def v2(name: str) -> Answer:
        shape: dict[str, object] = {"name": name, "shape": [1, 2], "datatype": "FP32"}
        head = json.dumps({"outputs": [{**shape, "parameters": {"binary_data_size": 8}}]}).encode()
        fields = [JSON, (b"inference-header-content-length", b"%d" % len(head))]
        return Answer(200, fields, head + struct.pack("<2f", math.nan, math.nan))

    assert compare(v2("y"), v2("z"), CLASSES).finding == ""


def test_labels_that_are_texts_in_a_list_are_no_missing_vector() -> None:
    assert compare(rows_answer(["a", "b"]), rows_answer(["a", "c"]), CLASSES).finding == "value"


# What is not compared


@pytest.mark.parametrize(
    ("champion", "candidate", "skipped"),
    [
        (rows_answer(1.0), json_answer({}, status=500), "not_both_succeeded"),
        (json_answer({}, status=404), rows_answer(1.0), "not_both_succeeded"),
        (rows_answer(1.0), Answer(200, [JSON], None), "body_too_large"),
        (rows_answer(1.0), Answer(200, [JSON, (b"content-encoding", b"compress")], b"zzz"), "encoding_unsupported"),
        (Answer(200, [(b"content-type", b"text/csv")], b"1.0"), rows_answer(1.0), "not_json"),
        (Answer(200, [JSON], b"{"), rows_answer(1.0), "malformed_json"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_compared_says_why(champion: Answer, candidate: Answer, skipped: str) -> None:
    assert compare(champion, candidate, SPEC) == Comparison(skipped=skipped)


def test_the_same_bytes_in_the_same_encoding_agree_unread() -> None:
    answer = Answer(200, [(b"content-type", b"image/png"), (b"content-encoding", b"gzip")], b"\x89PNG")
    assert compare(answer, answer, EXACT) == Comparison()


@pytest.mark.parametrize("depth", [100, 300, 600, 900, 5_000])
def test_answers_nested_beyond_reason_are_not_compared_or_agree(depth: int) -> None:
    nested = Answer(200, [JSON], b"[" * depth + b"]" * depth)
    spaced = Answer(200, [JSON], b" " + (nested.body or b""))
    assert compare(nested, spaced, SPEC).finding == ""


@pytest.mark.parametrize(
    ("champion", "candidate", "failure"),
    [
        ([0.1 * n for n in range(10)], [0.5] * 10, "constant_output"),
        ([[0.1 * n, 1 - 0.1 * n] for n in range(10)], [[0.5, 0.5]] * 10, "constant_output"),
        (["a", "b", "c", "d"] * 2, ["a"] * 8, "constant_output"),
        ([0.1 * n for n in range(10)], [0.5] * 9 + [0.6], ""),
        ([0] * 9 + [1], [0] * 10, ""),
        ([0.1 * n for n in range(5)], [0.5] * 5, ""),
    ],
    ids=["numbers", "vectors", "labels", "not quite", "a rare label", "a small batch"],
)
def test_one_answer_to_every_instance_is_a_failure(champion: list[Any], candidate: list[Any], failure: str) -> None:
    found = compare(rows_answer(*champion), rows_answer(*candidate), SPEC)
    assert found.candidate_failure == failure
    assert found.finding == (failure or found.finding) != ""
