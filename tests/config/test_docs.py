"""The documents name what is there: tests, commands, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gates.cli import run

ROOT = Path(__file__).parents[2]
SEEDS = (ROOT / "docs" / "seeds.md").read_text()


def test_every_row_names_a_test_that_is_there() -> None:
    rows = [line for line in SEEDS.splitlines() if line.startswith("| ") and not line.startswith("| asked for")]
    assert len(rows) > 50
    for row in rows:
        named = re.findall(r"`([a-z_/]+/test_[a-z_]+\.py)`", row.rpartition(" | ")[2])
        assert named, row
        assert all((ROOT / "tests" / file).is_file() for file in named), row


@pytest.mark.parametrize("document", ["seeds.md", "promotion.md"])
def test_every_command_and_option_is_there(document: str, capfd: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / document).read_text()
    commands = set(re.findall(r"`penstock ((?:(?:gate|registry|config|audit) )?[a-z]+)([^`]*)`", text))
    assert commands
    for words, rest in sorted(commands):
        assert run([*words.split(), "--help"]) == 0, words
        shown = capfd.readouterr().out
        for option in re.findall(r"(?<= )(--[a-z-]+)", rest):
            assert option in shown, f"penstock {words} has no {option}"


@pytest.mark.parametrize("document", ["seeds.md", "promotion.md"])
def test_every_link_leads_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "docs" / document).read_text()):
        assert (ROOT / "docs" / target).exists(), target
