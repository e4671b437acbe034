"""The audit chain: what it finds, and what only a head that was kept elsewhere does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.audit import GENESIS, Broken, Chain, Link, hash_of
from gates.state import AuditRow


def row(generation: int, reason: str = "because") -> AuditRow:
    return AuditRow(generation, 1_700_000_000.25, "m", "r1", "climb", "ada", reason, "ramp", 2, '{"a": 1}')


def chained(*rows: AuditRow) -> list[Link]:
    links, head = [], GENESIS
    for number, each in enumerate(rows, 1):
        previous, head = head, hash_of(head, each)
        links.append(Link(number, each, previous, head))
    return links


def verify(links: list[Link], head: str, kept: str | None = None) -> Chain:
    chain = Chain()
    chain.follow(links)
    chain.end(head, kept)
    return chain


TRAIL = chained(*(row(generation) for generation in range(1, 6)))
HEAD = TRAIL[-1].hash


def test_a_trail_that_nobody_touched_holds() -> None:
    chain = verify(TRAIL, HEAD)
    assert (chain.rows, chain.head) == (5, HEAD)
    assert verify([], GENESIS).head == GENESIS


@given(st.integers(0, 5))
def test_every_earlier_head_is_found_again(length: int) -> None:
    verify(TRAIL, HEAD, kept=(GENESIS, *(link.hash for link in TRAIL))[length])


def test_the_form_of_a_hash_is_what_the_chains_on_record_were_made_by() -> None:
    assert hash_of(GENESIS, row(1)) == "a8121054549fa4a60e3d02f188693a8fe8f0220ca9e49edbb807dce188f83238"


CHANGES: dict[str, Any] = {"generation": 9, "at": 1.0, "model": "n", "rollout": "r2", "event": "hold", "by": "eve"}
CHANGES |= {"reason": "x", "phase": "bake", "position": 3, "inputs": "{}"}


@pytest.mark.parametrize("field", CHANGES)
def test_a_change_of_any_field_is_found_at_its_row(field: str) -> None:
    forged = replace(TRAIL[2], row=replace(TRAIL[2].row, **{field: CHANGES[field]}))
    with pytest.raises(Broken, match=r"row 3 .* is not what was written"):
        verify([*TRAIL[:2], forged, *TRAIL[3:]], HEAD)


def test_every_field_of_a_row_is_in_its_hash() -> None:
    assert set(CHANGES) == set(AuditRow.__dataclass_fields__)


def test_a_changed_row_with_a_hash_made_for_it_is_found_at_the_next() -> None:
    changed = replace(row(3), by="eve")
    forged = Link(3, changed, TRAIL[2].previous, hash_of(TRAIL[2].previous, changed))
    with pytest.raises(Broken, match=r"row 4 .* does not follow row 3"):
        verify([*TRAIL[:2], forged, *TRAIL[3:]], HEAD)


@given(st.integers(0, 3))
def test_a_row_that_is_taken_out_is_found(at: int) -> None:
    with pytest.raises(Broken, match=f"row {at + 2} .* does not follow"):
        verify([*TRAIL[:at], *TRAIL[at + 1 :]], HEAD)


def test_rows_that_changed_places_are_found() -> None:
    with pytest.raises(Broken, match=r"row 4 .* does not follow row 2"):
        verify([*TRAIL[:2], TRAIL[3], TRAIL[2], TRAIL[4]], HEAD)


@given(st.integers(0, 4))
def test_an_end_that_was_cut_off_is_found_by_the_stores_head(left: int) -> None:
    with pytest.raises(Broken, match="rows are missing at the end"):
        verify(TRAIL[:left], HEAD)


@given(st.integers(0, 4))
def test_an_end_that_was_cut_off_together_with_the_head_is_found_by_a_kept_head_alone(left: int) -> None:
    head = TRAIL[left - 1].hash if left else GENESIS
    verify(TRAIL[:left], head)
    with pytest.raises(Broken, match="the trail never had the head"):
        verify(TRAIL[:left], head, kept=HEAD)


def test_a_trail_that_was_written_anew_is_found_by_a_kept_head_alone() -> None:
    anew = chained(*(row(generation, "a better reason") for generation in range(1, 6)))
    verify(anew, anew[-1].hash)
    with pytest.raises(Broken, match="written anew"):
        verify(anew, anew[-1].hash, kept=TRAIL[3].hash)
