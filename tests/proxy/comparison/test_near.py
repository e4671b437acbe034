"""The short look must say what the closer look would say, whatever it is shown."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.comparison import Comparison
from proxy.comparison.near import FAR, largest_gap, near_at_once
from proxy.comparison.values import Walk
from proxy.snapshot import AgreementSpec, Kind

TIGHT = AgreementSpec(relative=0, absolute=0)  # whole numbers, as some write them
KINDS: list[Kind] = ["auto", "numeric", "probability", "label", "json", "ranking", "embedding", "text"]
scalars = st.floats() | st.integers(-3, 3) | st.booleans() | st.text(max_size=3) | st.none()
records = st.dictionaries(st.sampled_from("abc"), scalars, max_size=3)
rows = st.lists(scalars, max_size=5) | st.lists(st.lists(scalars, min_size=1, max_size=3) | records, max_size=4)


def body(predictions: object) -> bytes:
    return json.dumps({"predictions": predictions}).encode()


@given(rows, st.data(), st.sampled_from(KINDS))
def test_what_it_takes_for_near_is_near(champion: list[object], data: st.DataObject, kind: Kind) -> None:
    candidate = data.draw(st.just(champion) | rows | st.permutations(champion))
    near = near_at_once(body(champion), body(candidate), AgreementSpec(kind=kind))
    if near is None:
        return
    assert kind not in ("ranking", "embedding", "text"), "these are told by more than their values"
    walk = Walk.under(AgreementSpec(kind=kind))
    assert [walk.difference(*pair) for pair in zip(champion, candidate, strict=True)] == [""] * len(champion)
    assert near == Comparison(rows=len(champion), largest_gap=walk.largest)


@given(st.lists(st.floats(-1e6, 1e6), max_size=5), st.sampled_from(KINDS[:3]), st.floats(0.99, 1.01))
def test_what_is_near_is_taken_for_it(champion: list[float], kind: Kind, factor: float) -> None:
    candidate = [number * factor for number in champion]
    walk = Walk.under(AgreementSpec(kind=kind))
    alike = all(not walk.difference(*pair) for pair in zip(champion, candidate, strict=True))
    assert (near_at_once(body(champion), body(candidate), AgreementSpec(kind=kind)) is not None) is alike


@pytest.mark.parametrize(
    ("champion", "candidate", "gap"),
    [
        ([1.0, 2.0], [1.0, 2.015], 0.015),
        ([1.0, 2.0], [1.0, 2.03], FAR),
        ([[0.2, 0.8], [0.5, 0.5]], [[0.2, 0.8], [0.499, 0.501]], 0.001),
        ([[0.2, 0.8], [0.5, 0.5]], [[0.2, 0.8, 0.5], [0.5]], FAR),
        ([{"p": 0.2, "y": "a"}, {"p": 0.5, "y": "b"}], [{"p": 0.2, "y": "a"}, {"y": "b", "p": 0.501}], 0.001),
        ([{"p": 0.2}, {"p": 0.5}], [{"p": 0.2}, {"q": 0.5}], FAR),
        ([{"p": 0.2}, {"p": 0.5}], [{"p": 0.2}, {"p": 0.5, "q": 0.5}], FAR),
        ([{"p": 0.2}, [0.5]], [{"p": 0.2}, {"p": 0.5}], FAR),
        ([[0.2], {"p": [0.5]}], [[0.2], {"p": [0.5]}], FAR),
        (["cat", 1, True], ["cat", 1, True], 0.0),
        ([1], [True], FAR),
        ([1], [1.0], FAR),
        ([None], [None], FAR),
        ([math.nan], [math.nan], FAR),
        ([math.inf], [1.0], FAR),
        ([1.0], [1.0, 1.0], FAR),
        ({"a": 1}, {"a": 1}, FAR),
        ([], [], 0.0),
    ],
)
def test_what_is_near_and_what_takes_a_closer_look(champion: object, candidate: object, gap: float) -> None:
    assert largest_gap(champion, candidate, AgreementSpec(), 0.01) == pytest.approx(gap)


def test_two_sides_of_a_threshold_are_never_near() -> None:
    spec = AgreementSpec(kind="probability", threshold=0.5)
    assert largest_gap([0.4999], [0.4998], spec, 0.01) == pytest.approx(0.0001)
    assert largest_gap([0.4999], [0.5], spec, 0.01) == FAR


def test_a_label_is_the_same_or_it_is_not() -> None:
    spec = AgreementSpec(kind="label")
    assert largest_gap([1.0, "a"], [1.0, "a"], spec, 0.01) == 0
    assert largest_gap([1.0], [1.001], spec, 0.01) == FAR


def test_tolerances_may_be_whole_numbers() -> None:
    assert near_at_once(body([0.5]), body([0.5]), TIGHT) == Comparison(rows=1)
    assert near_at_once(body([0.5]), body([0.6]), TIGHT) is None


@pytest.mark.parametrize("broken", [b'{"predictions": [1', b'{"predictions": [NaN]}', b'{"outputs": [1]}', b""])
def test_it_leaves_what_it_cannot_read_to_others(broken: bytes) -> None:
    assert near_at_once(body([1]), broken, TIGHT) is None
