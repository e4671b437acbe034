from __future__ import annotations

import math
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.comparison import Answer
from proxy.outputs import (
    LAST_BUCKET,
    MOST_COLUMNS,
    MOST_LABELS,
    OTHER,
    WHOLE,
    Outputs,
    OutputTally,
    add_outputs,
    bucket_of_number,
    edges_of,
    merge_outputs,
    outputs_of,
    outputs_of_pair,
    wanted,
)
from proxy.snapshot import AgreementSpec
from tests.strategies import json_values, specs

JSON = [(b"content-type", b"application/json")]
AUTO, RANKING = AgreementSpec(), AgreementSpec(kind="ranking")
MOST = sys.float_info.max
lists = st.lists(st.floats() | st.sampled_from(["cat", "dog", 1, True, None, [0.1, 0.9]]), max_size=8)


def measured(*numbers: float) -> OutputTally:
    counts = {bucket_of_number(number): 1 for number in numbers}
    return OutputTally(numbers=counts, least=min(numbers), most=max(numbers))


@given(st.floats(-1e15, 1e15))
@example(1.0)
@example(0.5)
@example(-0.75)
def test_a_number_lies_between_the_edges_of_its_bucket(number: float) -> None:
    low, high = edges_of(bucket_of_number(number))
    assert low <= number <= high
    assert abs(number) < 2**-19 or high - low <= 0.0625 * abs(number) * 1.07


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_buckets_rise_with_the_numbers_and_are_bounded(one: float, other: float) -> None:
    low, high = bucket_of_number(min(one, other)), bucket_of_number(max(one, other))
    assert -LAST_BUCKET <= low <= high <= LAST_BUCKET


@pytest.mark.parametrize(
    ("rows", "spec", "expected"),
    [
        ([1, 1, 0], AUTO, {"": OutputTally(labels={"1": 2, "0": 1})}),
        (["cat", True], AUTO, {"": OutputTally(labels={"cat": 1, "1": 1})}),
        ([1.0, 0.0], AgreementSpec(kind="label"), {"": OutputTally(labels={"1": 1, "0": 1})}),
        ([3, 4], AgreementSpec(kind="numeric"), {"": measured(3, 4)}),
        ([None, math.nan], AUTO, {"": OutputTally(missing=2)}),
        ([[0.2, 0.7, 0.1]], AUTO, {"": OutputTally(labels={"place 1": 1})}),
        ([[0.2, 0.8]], AgreementSpec(kind="label", classes=("no", "yes")), {"": OutputTally(labels={"yes": 1})}),
        ([{"y": 1, "p": 0.5}], AUTO, {"y": OutputTally(labels={"1": 1}), "p": measured(0.5)}),
        (["x" * 50], AUTO, {"": measured(50)}),
        ([[1.0, 2.0]], AgreementSpec(kind="embedding"), {}),
        ([[]], AUTO, {"": OutputTally(missing=1)}),
        ([[0.1, None]], AUTO, {"": OutputTally(missing=1)}),
        ([["a", "b"], ["c", "d"]], AUTO, {"": OutputTally()}),
        ([["a", "b"], ["c", "d"], []], RANKING, {"": OutputTally(missing=1, labels={"a": 1, "c": 1})}),
        ([[71, 12], [12, 71]], RANKING, {"": OutputTally(labels={"71": 1, "12": 1})}),
        ([[{"id": 71, "score": 0.3}, {"id": 5, "score": 0.2}]], RANKING, {"": OutputTally(labels={"71": 1})}),
        ([[0.2, 0.7, 0.1]], RANKING, {"": OutputTally(labels={"place 1": 1})}),
        ([[{"score": 0.3}]], RANKING, {"": OutputTally()}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_counted_goes_by_the_values_and_the_kind(
    rows: list[Any], spec: AgreementSpec, expected: object
) -> None:
    assert outputs_of(rows, spec) == expected


@given(lists, lists, lists)
def test_outputs_merge_exactly_in_any_order(one: list[object], other: list[object], third: list[object]) -> None:
    a, b, c = (outputs_of(rows, AUTO) for rows in (one, other, third))
    assert merge_outputs(a, merge_outputs(b, c)) == merge_outputs(merge_outputs(c, a), b)
    assert merge_outputs(a, {}) == a


@given(st.lists(json_values, max_size=6), specs)
def test_no_rows_have_to_be_feared(rows: list[object], spec: AgreementSpec) -> None:
    for tally in outputs_of(rows, spec).values():
        assert tally.counted + tally.missing <= len(rows) * MOST_COLUMNS


@given(st.lists(st.floats(), min_size=1, max_size=60))
def test_the_short_way_for_numbers_counts_what_the_long_one_does(numbers: list[float]) -> None:
    (short,), (long,) = outputs_of(numbers, AUTO).values(), outputs_of([*numbers, None], AUTO).values()
    short.missing += 1
    assert short == long


@given(st.lists(st.floats(), min_size=1, max_size=6), st.lists(st.floats(), max_size=6))
@example([math.inf], [])
@example([-math.inf, 1.0], [math.nan])
def test_the_least_and_the_most_are_those_of_all_that_is_merged(one: list[float], other: list[float]) -> None:
    """What is infinite counts as the largest number, as JSON knows no infinity."""
    tally = outputs_of(one, AUTO)[""].merged(outputs_of(other, AUTO).get("", OutputTally()))
    finite = [min(max(number, -MOST), MOST) for number in one + other if number == number]
    assert (tally.least, tally.most) == ((min(finite), max(finite)) if finite else (None, None))


def test_what_an_earlier_version_has_stored_is_read() -> None:
    stored = msgspec.json.decode(b'{"missing": 1, "numbers": {"5": 2}, "labels": {"a": 3}}', type=OutputTally)
    assert stored == OutputTally(1, {5: 2}, {"a": 3})
    assert stored.merged(measured(7.0)).most == 7.0


def test_what_is_counted_is_bounded_whatever_is_answered() -> None:
    champion: Outputs = {}
    candidate: Outputs = {}
    add_outputs(champion, candidate, (outputs_of([f"label {number}" for number in range(40)], AUTO), {}))
    for number in range(100):
        more = outputs_of([f"more {number}", {f"column {number}": 1}], AUTO)
        add_outputs(champion, candidate, (more, {}))
    assert len(champion) == MOST_COLUMNS
    assert len(champion[""].labels) == MOST_LABELS + 1
    assert champion[""].labels[OTHER] == 40 + 100 - MOST_LABELS


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), max_size=200))
def test_a_label_has_its_name_in_both_arms_or_in_neither(pairs: list[tuple[int, int]]) -> None:
    """What each arm meets first is chance, and would look like drift."""
    champion: Outputs = {"": OutputTally()}
    candidate: Outputs = {"": OutputTally()}
    for ours, theirs in pairs:
        add_outputs(champion, candidate, (outputs_of([f"{ours}"], AUTO), outputs_of([f"{theirs}"], AUTO)))
    named = (champion[""].labels.keys() | candidate[""].labels.keys()) - {OTHER}
    assert len(named) <= MOST_LABELS
    for tally, said in zip((champion[""], candidate[""]), zip(*pairs, strict=True), strict=False):
        for label in named:
            assert tally.labels.get(label, 0) == [str(one) for one in said].count(label)


def test_a_column_is_counted_in_both_arms_or_in_neither() -> None:
    champion: Outputs = {}
    candidate: Outputs = {}
    for number in range(MOST_COLUMNS):
        found = outputs_of([{f"ours {number}": 1}], AUTO), outputs_of([{f"theirs {number}": 1}], AUTO)
        add_outputs(champion, candidate, found)
    assert champion.keys() == candidate.keys()
    assert len(champion) == MOST_COLUMNS


def test_a_pair_counts_on_both_sides_or_on_neither() -> None:
    fine, broken = Answer(200, JSON, b'{"predictions": [1]}'), Answer(200, JSON, b"{")
    one = {"": OutputTally(labels={"1": 1})}
    assert outputs_of_pair(fine, fine, AUTO, b"") == (one, one)
    assert outputs_of_pair(fine, broken, AUTO, b"") is None
    assert outputs_of_pair(broken, fine, AUTO, b"") is None


def test_of_many_pairs_a_sample_is_counted_by_their_number_alone() -> None:
    assert all(wanted(seen) for seen in range(WHOLE))
    assert sum(map(wanted, range(WHOLE, WHOLE + 1600))) == 100
    assert sum(wanted(seen, is_long=True) for seen in range(1600)) == 100


def test_a_label_that_is_no_text_can_be_sent_on() -> None:
    """NaN sends the body to the standard parser, which lets half a surrogate pair through."""
    body = rb'{"predictions": [{"\ud800": "\udfff", "b": NaN}]}'
    found = outputs_of_pair(Answer(200, [], body), Answer(200, [], body + b" "), AgreementSpec(), b"")
    assert found is not None
    assert found[0]["?"].labels == {"?": 1}
    assert msgspec.json.decode(msgspec.json.encode(found)) is not None
