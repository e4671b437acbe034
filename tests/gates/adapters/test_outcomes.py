"""Outcomes in SQLite and in PostgreSQL: kept once, summed by unit, forgotten with their rollout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from gates.adapters.outcomes import SqlOutcomes
from gates.evidence import Moments
from gates.promotion.outcomes import Arm, Joined, Outcome


@pytest.fixture
def store(url: str) -> Iterator[SqlOutcomes]:
    with closing(SqlOutcomes(url)) as opened:
        yield opened


def joined(identity: str, value: float, arm: Arm = "champion", unit: str = "", rollout: str = "r1") -> Joined:
    return Joined(Outcome(identity, unit or identity, "correct", value, 1.0), rollout, arm, exact=False)


def test_each_is_kept_once_and_the_first_stays(store: SqlOutcomes) -> None:
    assert store.add("m", [joined("a", 1.0), joined("b", 0.0), joined("a", 0.0)], ["r1"]) == 2
    assert store.add("m", [joined("b", 1.0), joined("c", 1.0, "candidate")], ["r1"]) == 1
    arms = store.tally("r1")["correct"]
    assert arms["champion"] == Moments(2, 0.5, 0.5)
    assert arms["candidate"] == Moments(1, 1.0, 0.0)


def test_a_units_outcomes_are_their_mean(store: SqlOutcomes) -> None:
    store.add("m", [joined(str(number), float(number), unit="u") for number in range(5)], ["r1"])
    store.add("m", [joined("v", 4.0)], ["r1"])
    assert store.tally("r1")["correct"]["champion"] == Moments(2, 3.0, 2.0)


def test_more_than_one_transaction_holds(store: SqlOutcomes) -> None:
    many = [joined(str(number), 1.0) for number in range(4_500)]
    assert store.add("m", many, ["r1"]) == 4_500
    assert store.add("m", many, ["r1"]) == 0
    assert store.tally("r1")["correct"]["champion"].count == 4_500


def test_what_is_not_kept_is_forgotten_of_this_model_alone(store: SqlOutcomes) -> None:
    store.add("m", [joined("a", 1.0)], ["r1"])
    store.add("other", [joined("a", 1.0, rollout="r9")], ["r9"])
    store.add("m", [joined("b", 1.0, rollout="r2")], ["r2"])
    assert (store.tally("r1"), bool(store.tally("r2")), bool(store.tally("r9"))) == ({}, True, True)


def test_nothing_is_nothing(store: SqlOutcomes) -> None:
    assert store.tally("nobody") == {}
