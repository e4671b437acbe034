from __future__ import annotations

import pytest

from gates.alerts import CONDITIONS, RULES, AlertKey, Urgency, begins, ended, ends, holding, told_by, turns
from gates.decision import by_gate


@pytest.mark.parametrize("event", RULES)
def test_what_the_controller_does_is_told_as_the_table_says(event: str) -> None:
    alert = told_by(event, "m", "controller", "because", "r1:2")
    assert alert is not None
    assert (alert.name, alert.urgency) == RULES[event][:2]
    assert alert.title.startswith("m: ")
    assert "because" in alert.text


def test_what_a_person_asked_for_calls_nobody() -> None:
    alert = told_by("roll_back", "m", "ada", "smoke", "r1:2")
    assert alert is not None
    assert (alert.urgency, alert.text) == (Urgency.WARNING, "smoke (by ada)")


def test_what_a_gate_took_back_after_the_promotion_calls_somebody() -> None:
    alert = told_by("revert", "m", by_gate("accuracy"), "labels", "")
    assert alert is not None
    assert alert.urgency is Urgency.CRITICAL


def test_what_is_not_in_the_table_is_not_told() -> None:
    assert told_by("configure", "m", "configuration", "new", "") is None


def test_a_condition_is_told_when_it_begins_and_when_it_ends() -> None:
    store, gate = ("store_gone", ""), ("gate_failed", "m")
    assert list(turns(set(), {store: "full"})) == [begins("store_gone", "", "full")]
    assert list(turns({store}, {store: "still full"})) == []
    assert list(turns({store}, {gate: "slow"})) == [
        begins("gate_failed", "m", "slow"),
        ends("store_gone", ""),
    ]
    assert {begins(name, "", "").urgency for name in CONDITIONS} == set(Urgency)


def test_a_condition_holds_from_its_beginning_to_its_end_as_they_were_told() -> None:
    began = begins("store_gone", "", "full")
    assert holding([began.key, AlertKey("rolled_back", "m", "r1:2")]) == {("store_gone", "")}
    assert ended(ends("store_gone", "").key) == began.key
    assert ended(began.key) is None
    assert ends("store_gone", "").topic == began.topic != begins("store_gone", "m", "full").topic
