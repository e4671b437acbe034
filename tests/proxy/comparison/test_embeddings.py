"""Embeddings: their space is the model's own, so it is their neighbours that are compared."""

from __future__ import annotations

import math
from typing import Any

import pytest

from proxy.comparison import Answer, Comparison, compare
from proxy.snapshot import AgreementSpec
from tests.proxy.comparison.answers import json_answer

SPEC = AgreementSpec(relative=0.01, absolute=0.001)


def _embedded(vectors: list[list[float]]) -> Answer:
    return json_answer({"data": [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]})


SPACE = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [-1.0, 0.0], [-0.9, 0.1]]


def test_embeddings_of_two_spaces_are_compared_by_who_is_whose_neighbour() -> None:
    turned = [[0.0, 5 * y, -5 * x] for x, y in SPACE]
    assert compare(_embedded(SPACE), _embedded(turned), SPEC).finding == ""
    shuffled = [SPACE[index] for index in (0, 2, 1, 4, 3, 5)]
    found = compare(_embedded(SPACE), _embedded(shuffled), SPEC)
    assert (found.finding, found.rows) == ("neighbours", 6)
    assert found.rows_disagreed >= 4


def test_a_pair_of_embeddings_has_no_neighbours_but_may_agree() -> None:
    assert compare(_embedded(SPACE[:2]), _embedded([[2.0, 0.0], [0.0, 2.0]]), SPEC).skipped == "no_neighbours"
    near = compare(_embedded(SPACE[:2]), _embedded([[1.0005, 0.0], [0.9, 0.1]]), SPEC)
    assert (near.finding, near.skipped, near.rows) == ("", "", 2)
    assert near.largest_gap == pytest.approx(0.0005)


@pytest.mark.parametrize(
    ("candidate", "finding", "failure"),
    [
        ([[1.0, 0.0, 0.0], [math.inf, 0.1, 0.0], [0.0, 1.0, 0.0], [0.1, 0.9, 0.0]], "infinite", "infinite"),
        ([[1.0, 0.0, 0.0], [10**400, 0.1, 0.0], [0.0, 1.0, 0.0], [0.1, 0.9, 0.0]], "infinite", "infinite"),
        ([[1.0, 0.0], [math.nan, 0.1], [0.0, 1.0], [0.1, 0.9]], "new_nan", "new_nan"),
        ([[1.0, 0.0, 0.0, 0.0], [0.9, 0.1, 0.0, math.nan], [0.0] * 4, [0.1] * 4], "new_nan", "new_nan"),
        ([None] * 4, "new_nan", "new_nan"),
        ([[None, 0.0]] * 4, "new_nan", "new_nan"),
        ([[]] * 4, "shape", "changed_shape"),
        ([[1.0, 0.0], [1.0], [0.0, 1.0], [0.1, 0.9]], "shape", "changed_shape"),
        ([["a", "b"]] * 4, "shape", "changed_shape"),
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [2, 4])
def test_a_candidate_without_sound_embeddings_has_failed(
    candidate: list[Any], finding: str, failure: str, rows: int
) -> None:
    found = compare(_embedded(SPACE[:rows]), _embedded(candidate[:rows]), SPEC)
    assert (found.finding, found.candidate_failure) == (finding, failure)


def test_beside_a_champion_without_sound_embeddings_there_is_nothing_to_measure() -> None:
    broken = [[1.0, 0.0], [math.inf, 0.1], [0.0, 1.0], [0.1, 0.9]]
    ragged = [[1.0, 0.0], [1.0], [0.0, 1.0], [0.1, 0.9]]
    for champion in (broken, ragged):
        for candidate in (SPACE[:4], [[5.0, math.inf, 0.0]] * 4):
            found = compare(_embedded(champion), _embedded(candidate), SPEC)
            assert found == Comparison(skipped="no_neighbours")
