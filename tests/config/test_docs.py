"""The documents name what is there: tests, commands, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gates.cli import run
from gates.settings import load

ROOT = Path(__file__).parents[2]
SEEDS = (ROOT / "docs" / "seeds.md").read_text()


def test_every_row_names_a_test_that_is_there() -> None:
    rows = [line for line in SEEDS.splitlines() if line.startswith("| ") and not line.startswith("| asked for")]
    assert len(rows) > 50
    for row in rows:
        named = re.findall(r"`([a-z_/]+/test_[a-z_]+\.py)`", row.rpartition(" | ")[2])
        assert named, row
        assert all((ROOT / "tests" / file).is_file() for file in named), row


@pytest.mark.parametrize("document", ["seeds.md", "promotion.md", "how-to.md", "tutorial.md", "runbook.md"])
def test_every_command_and_option_is_there(document: str, capfd: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / document).read_text()
    commands = set(re.findall(r"`penstock ((?:(?:gate|registry|config|audit|token|alerts) )?[a-z]+)([^`]*)`", text))
    assert commands
    for words, rest in sorted(commands):
        assert run([*words.split(), "--help"]) == 0, words
        shown = capfd.readouterr().out
        for option in re.findall(r"(?<= )(--[a-z-]+)", rest):
            assert option in shown, f"penstock {words} has no {option}"


@pytest.mark.parametrize("document", [page.name for page in (ROOT / "docs").glob("*.md")])
def test_every_link_leads_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "docs" / document).read_text()):
        assert (ROOT / "docs" / target).exists(), target


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"(?s)```{language}\n(.*?)```", (ROOT / "docs" / document).read_text())


def test_the_tutorials_files_are_sound(tmp_path: Path) -> None:
    (server,), (configuration,) = blocks("tutorial.md", "python"), blocks("tutorial.md", "yaml")
    compile(server, "server.py", "exec")
    (tmp_path / "penstock.yaml").write_text(configuration)
    (model,) = load(tmp_path / "penstock.yaml").models
    assert [step.share_bp for step in model.plan.steps] == [1_000, 5_000, 10_000]


def test_the_policy_of_the_page_on_promotion_is_sound(tmp_path: Path) -> None:
    (configuration,) = blocks("promotion.md", "yaml")
    (tmp_path / "penstock.yaml").write_text(configuration)
    (model,) = load(tmp_path / "penstock.yaml").models
    assert model.agreement.threshold == 0.7


@pytest.mark.parametrize("number", range(len(blocks("how-to.md", "yaml"))))
def test_the_sections_of_the_how_to_are_sound(tmp_path: Path, number: int) -> None:
    section = blocks("how-to.md", "yaml")[number]
    whole = section if "models:" in section else "models: {}\n" + section
    (tmp_path / "penstock.yaml").write_text(whole)
    load(tmp_path / "penstock.yaml")
