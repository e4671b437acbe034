"""`penstock logs`: every decision once, in order, through whatever happens to the control plane."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from gates.cli.logs import rows
from gates.client import ControlFailed
from gates.exits import Exit
from gates.state import AuditRow


def row(generation: int) -> AuditRow:
    return AuditRow(generation, 0.0, "m", "r", "climb", "ada", "because", "ramp", 1, "{}")


class Record:
    """A control plane's events, which grow by one at each question, and which can be out of reach."""

    def __init__(self, *troubles: int) -> None:
        self.asked: list[int] = []
        self._troubles = troubles

    def __call__(self, since: int) -> tuple[AuditRow, ...]:
        self.asked.append(since)
        if len(self.asked) in self._troubles:
            raise ControlFailed("no control plane answers", Exit.UNAVAILABLE)
        return tuple(row(generation) for generation in range(len(self.asked) + 2, max(since, 1) - 1, -1))


def test_what_there_is_comes_first_and_then_what_comes_each_once() -> None:
    followed = islice(rows(Record(), every=0), 6)
    assert [found.generation for found in followed] == [1, 2, 3, 4, 5, 6]


def test_rows_of_one_generation_come_each_once_and_late_ones_too() -> None:
    """What is only noted down, such as a reload that was refused, stands under the generation that is in force."""
    first, late = row(3), replace(row(3), event="reload_refused")
    answers = iter([(first,), (first,), (late, first), (late, first), (row(4), late, first)])
    followed = islice(rows(lambda since: next(answers), every=0), 3)
    assert list(followed) == [first, late, row(4)]


def test_a_control_plane_that_goes_away_is_told_once_and_nothing_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    followed = islice(rows(Record(2, 3), every=0), 8)
    assert [found.generation for found in followed] == [1, 2, 3, 4, 5, 6, 7, 8]
    said = capsys.readouterr().err
    assert said.count("trying again") == 1
    assert said.count("it answers again") == 1


@pytest.mark.parametrize("status", [Exit.UNAVAILABLE, Exit.REFUSED])
def test_a_follow_that_cannot_begin_ends(status: Exit) -> None:
    def ask(since: int) -> tuple[AuditRow, ...]:
        raise ControlFailed("no", status)

    with pytest.raises(ControlFailed):
        list(rows(ask, every=0))


def test_a_control_plane_that_refuses_later_ends_it() -> None:
    answers = iter([(row(1),), None])

    def ask(since: int) -> tuple[AuditRow, ...]:
        found = next(answers)
        if found is None:
            raise ControlFailed("your token has run out", Exit.REFUSED)
        return found

    followed = rows(ask, every=0)
    assert next(followed).generation == 1
    with pytest.raises(ControlFailed, match="run out"):
        next(followed)
