"""What a kind of prediction is measured by, and what of it is left out."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.comparison import Answer, compare
from proxy.snapshot import AgreementSpec, Kind
from tests.proxy.comparison.answers import JSON, json_answer, rows_answer


@pytest.mark.parametrize(
    ("kind", "champion", "candidate", "finding"),
    [
        ("label", [1, 1.0, True, "1", " 1"], ["1", 1, 1, 1.0, True], ""),
        ("label", ["cat"], ["dog"], "label"),
        ("label", [1], [2], "label"),
        ("label", [0.25], [0.2500001], "label"),
        ("label", ["cat"], [[0.1, 0.9]], "label_or_probability"),
        ("label", [1], [0.7], "label_or_probability"),
        ("label", [1], [None], "new_nan"),
        ("label", [[1, 2]], [[1, 3]], "label"),
        ("numeric", [1000], [1001], ""),
        ("numeric", [100], [102], "number"),
        ("probability", [0.499], [0.5], "flip"),
        ("probability", [0.5], [0.499], "flip"),
        ("probability", [0.9], [0.92], "number"),
        ("probability", [0.9], [0.9001], ""),
        ("probability", [[0.501, 0.499]], [[0.499, 0.501]], "flip"),
        ("json", [{"a": 1, "b": [1, 2]}], [{"a": 1, "b": [1, 2, 3]}], "shape"),
        ("text", ["Yes, it  is."], ["yes, it is."], ""),
        ("text", ["one two three four five"], ["one two three four six"], ""),
        ("text", ["one two"], ["three four"], "text"),
        ("text", [1.0], [2.0], "number"),
        ("ranking", [["a", "b", "c"]], [["a", "b", "c"]], ""),
        ("ranking", [["a", "b", "c"]], [["d", "e", "f"]], "overlap"),
        ("ranking", [["a", "b", "c"]], [["c", "b", "a"]], "order"),
        ("ranking", ["a", "b", "c"], ["c", "b", "a"], "order"),
        ("ranking", [[0.9, 0.1, 0.5]], [[0.8, 0.2, 0.7]], ""),
        ("ranking", [[0.9, 0.1, 0.5]], [[0.1, 0.9, 0.5]], "order"),
        ("ranking", [[{"id": 1}, {"id": 2}]], [[{"id": 1, "score": 2}, {"id": 2}]], ""),
        ("ranking", [{"a": 1, "b": 2}], [{"a": 1, "b": 3}], "type"),
        ("ranking", [["a"]], [["a", "b"]], "overlap"),
        ("ranking", [["a"]], [{"name": "a"}], ""),
    ],
    ids=str,
)
def test_each_kind_has_its_own_measure(kind: Kind, champion: list[Any], candidate: list[Any], finding: str) -> None:
    found = compare(rows_answer(*champion), rows_answer(*candidate), AgreementSpec(kind=kind))
    assert (found.finding, found.skipped) == (finding, "")


def test_a_vector_of_probabilities_is_a_label_where_the_order_of_the_classes_is_declared() -> None:
    spec = AgreementSpec(kind="label", classes=("cat", "dog"))
    assert compare(rows_answer("dog", "cat"), rows_answer([0.2, 0.8], [0.7, 0.3]), spec).finding == ""
    assert compare(rows_answer("dog", "cat"), rows_answer([0.6, 0.4], [0.7, 0.3]), spec).rows_disagreed == 1
    assert compare(rows_answer([0.2, 0.8]), rows_answer([0.4, 0.6]), spec).finding == ""


def test_a_ranking_is_judged_by_its_first_places_alone() -> None:
    spec = AgreementSpec(kind="ranking", top_k=2, min_overlap=1.0)
    assert compare(rows_answer(["a", "b", "c", "d"]), rows_answer(["a", "b", "d"]), spec).finding == ""
    assert compare(rows_answer(["a", "b", "c", "d"]), rows_answer(["a", "c", "b"]), spec).finding == "overlap"


@pytest.mark.parametrize("repeated", [[0, 0], ["a", "a"], [[1, 1, 2]], [[1, 1, 2, 3, 3], [5, 5]]], ids=str)
def test_a_ranking_with_repeated_items_agrees_with_itself(repeated: list[Any]) -> None:
    answer = rows_answer(*repeated)
    spaced = Answer(200, [JSON], b" " + (answer.body or b""))
    assert compare(answer, spaced, AgreementSpec(kind="ranking")).finding == ""


def test_what_is_repeated_in_a_ranking_stands_at_its_first_place() -> None:
    spec = AgreementSpec(kind="ranking", top_k=2, min_overlap=1.0)
    assert compare(rows_answer(["a", "a", "b"]), rows_answer(["a", "b", "b"]), spec).finding == ""
    assert compare(rows_answer(["a", "a", "b"]), rows_answer(["a", "c", "b"]), spec).finding == "overlap"


SCORES = [place * 7919 % 5_000 / 5_000 for place in range(5_000)]


@pytest.mark.parametrize(
    ("champion", "candidate", "finding"),
    [
        (SCORES, [score + 1e-9 * place for place, score in enumerate(SCORES)], ""),
        (SCORES, [-score for score in SCORES], "overlap"),
        (list(range(5_000)), [*range(4_000), *range(1_000)], ""),
        (list(range(5_000)), list(range(4_999, -1, -1)), "overlap"),
    ],
    ids=["scores", "other scores", "items", "other items"],
)
def test_of_a_whole_catalogue_the_first_places_count(champion: list[Any], candidate: list[Any], finding: str) -> None:
    assert compare(rows_answer(champion), rows_answer(candidate), AgreementSpec(kind="ranking")).finding == finding


def test_what_is_to_be_ignored_is_left_out_wherever_it_stands() -> None:
    spec = AgreementSpec(kind="json", ignore=("id", "meta.at", "parts.*.ms", "items.key"))
    one = {"id": 1, "meta": {"at": 5, "v": 1}, "parts": {"a": {"ms": 1}}, "items": [{"key": 1, "x": 2}]}
    other = {"id": 2, "meta": {"at": 6, "v": 1}, "parts": {"a": {"ms": 2}}, "items": [{"key": 3, "x": 2}]}
    assert compare(json_answer(one), json_answer(other), spec).finding == ""
    assert compare(json_answer(one), json_answer(other | {"meta": {"at": 6, "v": 2}}), spec).finding == "label"
    assert compare(json_answer(one), json_answer(other), AgreementSpec(kind="json")).finding == "label"


def test_what_is_to_be_ignored_may_stand_at_any_depth() -> None:
    spec = AgreementSpec(kind="json", ignore=("**.at",))
    one = {"at": 1, "a": [{"at": 2, "x": {"at": {"deep": 3}, "y": 4}}]}
    other = {"at": 9, "a": [{"at": 8, "x": {"at": 7, "y": 4}}]}
    assert compare(json_answer(one), json_answer(other), spec).finding == ""
    assert compare(json_answer(one), json_answer({"at": 9, "a": [{"x": {"y": 5}}]}), spec).finding == "label"


def test_what_is_to_be_ignored_is_left_out_before_a_single_column_is_unwrapped() -> None:
    for kind in ("auto", "json"):
        spec = AgreementSpec(kind=kind, ignore=("ts", "meta.ts"))
        one, other, third = ([{"meta": {"v": v, "ts": ts}}] for v, ts in ((1, 1), (1, 2), (2, 1)))
        assert compare(rows_answer(*one), rows_answer(*other), spec).finding == ""
        assert compare(rows_answer(*one), rows_answer(*third), spec).finding == "label"
    spec = AgreementSpec(ignore=("ts",))
    assert compare(rows_answer({"p": 0.5, "ts": 1}), rows_answer({"p": 0.5, "ts": 2}), spec).finding == ""
    assert compare(rows_answer({"p": 0.5, "ts": 1}), rows_answer(0.5), spec).finding == ""
