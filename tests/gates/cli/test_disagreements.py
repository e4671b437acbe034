from __future__ import annotations

import io

import pytest
from rich.console import Console

from gates.cli.disagreements import SHOWN, view
from proxy.disagreements import AnswerOnRecord
from tests.gates.adapters.test_records import pair


def shown(**changes: object) -> str:
    import msgspec

    console = Console(file=io.StringIO(), width=80)
    console.print(view(msgspec.structs.replace(pair("a"), **changes), 3))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_pair_shows_what_was_asked_and_what_each_answered() -> None:
    text = shown(rows=8, rows_disagreed=2, row=5, worst=True)
    for told in (
        "3. label",
        "2 of 8 rows differ, the first is row 5",
        "largest gap 0.5",
        "worst",
        "POST /x",
        "champion",
    ):
        assert told in text
    assert "candidate 2  [1]" in " ".join(text.split("\n")).replace("   ", "  ")


def test_a_failure_shows_its_status() -> None:
    assert "400  bad request" in shown(candidate=AnswerOnRecord("2", 400, "bad request"))


def test_a_failure_without_an_answer_says_so() -> None:
    assert "no answer" in shown(finding="timeout", candidate=AnswerOnRecord("2", 0, ""))


@pytest.mark.parametrize("text", ["\x1b[2J", "x" * 5000])
def test_no_text_steers_or_floods_the_terminal(text: str) -> None:
    told = shown(request=text)
    assert "\x1b[2J" not in told
    assert len(told) < 3 * SHOWN
