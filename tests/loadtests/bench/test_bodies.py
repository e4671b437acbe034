"""The bodies have the size that was asked for, and say what the comparison is meant to find in them."""

from __future__ import annotations

import json

import pytest

from loadtests.bench import bodies
from proxy.comparison import Answer, compare
from proxy.snapshot import AgreementSpec

SIZES = (200, 1_000, 10_000, 100_000)


@pytest.mark.parametrize("size", SIZES)
def test_both_ways_are_of_about_the_wanted_size(size: int) -> None:
    row = len(json.dumps([1234567.25, 55, 23, 0.12345678901234567]))

    assert size - row <= len(bodies.request(size)) <= size
    assert abs(len(bodies.answer(size)) - size) <= row
    assert json.loads(bodies.request(size))["dataframe_split"]["data"]


def test_a_size_too_small_for_anything_still_holds_one_row() -> None:
    assert len(json.loads(bodies.request(1))["dataframe_split"]["data"]) == 1
    assert len(json.loads(bodies.answer(1))["predictions"]) == 1


@pytest.mark.parametrize("size", SIZES)
def test_close_answers_agree_but_only_a_parser_can_tell(size: int) -> None:
    champion, candidate = bodies.answer(size, "equal"), bodies.answer(size, "close")
    rows = len(json.loads(champion)["predictions"])

    comparison = compare(_answer(champion), _answer(candidate), AgreementSpec())

    assert champion != candidate
    assert comparison.finding == comparison.skipped == ""
    assert comparison.rows == rows
    assert 0 < comparison.largest_gap < 0.01


def _answer(body: bytes) -> Answer:
    return Answer(200, [(b"content-type", b"application/json")], body)
