"""Answers that are failures though their status is 200, and pairs that are not compared."""

from __future__ import annotations

import math
from typing import Any

import pytest

from proxy.comparison import Answer, Comparison, compare
from proxy.snapshot import AgreementSpec
from tests.proxy.comparison.answers import JSON, json_answer, rows_answer

SPEC = AgreementSpec(relative=0.01, absolute=0.001)
EXACT = AgreementSpec(relative=0, absolute=0)


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


def test_vectors_of_another_length_are_a_failure_where_the_protocol_promises_rows() -> None:
    one, other = [[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]
    assert compare(rows_answer(*one), rows_answer(*other), SPEC).candidate_failure == "changed_shape"
    assert compare(json_answer(one), json_answer(other), SPEC).candidate_failure == ""


def test_the_champions_errors_are_its_own() -> None:
    found = compare(json_answer({"error": "no"}), rows_answer(1.0), SPEC)
    assert found == Comparison(skipped="not_both_succeeded", champion_failure="error_in_200")
    found = compare(json_answer({"error": "no"}), json_answer({"error": "neither"}), SPEC)
    assert (found.champion_failure, found.candidate_failure) == ("error_in_200", "error_in_200")


def test_not_a_number_on_both_sides_is_no_failure() -> None:
    assert compare(rows_answer(math.nan, 1.0), rows_answer(math.nan, 2.0), SPEC).candidate_failure == ""


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
