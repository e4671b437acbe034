"""The shipped workflow examples are what GitHub and GitLab read, and call what Penstock has."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gates.cli import run

WORKFLOWS = Path(__file__).parents[2] / "docs" / "workflows"
SCHEMAS = {
    "candidate-to-staging.yaml": "vendor.github-workflows",
    "promote-to-production.yaml": "vendor.github-workflows",
    "gitlab-ci.yml": "vendor.gitlab-ci",
}


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_it_is_what_the_service_reads(name: str, schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(WORKFLOWS / name)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("file", sorted(WORKFLOWS.iterdir()), ids=lambda file: file.name)
def test_every_command_and_option_of_it_is_there(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = re.sub(r"\\\n\s*|\n\s{6,}--", lambda found: " --" if found[0].endswith("--") else " ", file.read_text())
    commands = re.findall(r"penstock ((?:gate )?[a-z]+)((?: [^\n|]*)?)", text)
    commands = [(words, rest) for words, rest in commands if not words.startswith(("gate all -", "token"))]
    assert len(commands) >= 2
    for words, rest in commands:
        assert run([*words.split(), "--help"]) == 0, words
        shown = capfd.readouterr().out
        for option in re.findall(r"(--[a-z-]+)", rest):
            assert option in shown, f"{file.name}: penstock {words} has no {option}"
