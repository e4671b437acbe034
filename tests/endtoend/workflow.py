"""A GitHub workflow's own steps, run here: its expressions filled in, its scripts in bash as GitHub runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

INSTALL = "Install Penstock"
"""The one step that is left out: Penstock is here."""


@dataclass(frozen=True)
class Ran:
    """The steps that ran, with their exit statuses; what follows a failure does not run."""

    statuses: Mapping[str, int]
    output: str
    summary: str

    @property
    def succeeded(self) -> bool:
        return all(status == 0 for status in self.statuses.values())


def run(file: Path, folder: Path, values: Mapping[str, str]) -> Ran:
    """`values` are those of the expressions, such as `inputs.model_name`; one that is not given is "" as in GitHub."""
    (job,) = yaml.safe_load(file.read_text())["jobs"].values()
    summary = folder / "summary.md"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PENSTOCK_"))},
        **{name: _filled(value, values) for name, value in job["env"].items()},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_ACTOR": "ada",
        "GITHUB_RUN_ID": "7",
    }
    statuses: dict[str, int] = {}
    output = ""
    for step in job["steps"]:
        if "run" not in step or step["name"] == INSTALL:
            continue
        ended = _run(step, folder, environment)
        statuses[step["name"]] = ended.returncode
        output += ended.stdout + ended.stderr
        if ended.returncode:
            break
    return Ran(statuses, output, summary.read_text() if summary.exists() else "")


def _run(step: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """As `shell: bash` means it (docs.github.com, workflow syntax): errors and broken pipes end the step."""
    assert step["shell"] == "bash"
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(command, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=400)


def _filled(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, _, default = (part.strip() for part in match[1].partition("||"))
        return values.get(name, "") or default.strip("'")

    return re.sub(r"\$\{\{(.*?)}}", value, str(text))
