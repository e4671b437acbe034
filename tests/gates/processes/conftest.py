from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.gates.processes.supervised import ENVIRONMENT, SUPERVISE, Run, Supervise, child


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    runs: list[Run] = []

    def start(
        *groups: dict[str, str],
        graces: Mapping[str, float] | None = None,
        vital: bool = False,
        second_thought: float = 0.5,
        **patience: float,
    ) -> Run:
        """`graces` by name, half a minute for all others; no death is forgotten unless a life is `settled` sooner."""
        run_dir = tmp_path / str(len(runs))
        run_dir.mkdir()
        journal, output = run_dir / "journal", run_dir / "output"
        services = [
            [
                {
                    "name": name,
                    "command": child(name, code, journal),
                    "grace": (graces or {}).get(name, 30.0),
                    "vital": vital,
                }
                for name, code in group.items()
            ]
            for group in groups
        ]
        patient = {"pause": 0.05, "longest_pause": 0.2, "settled": 3600.0, **patience}
        asked = json.dumps({"groups": services, "patience": patient, "second_thought": second_thought})
        with output.open("wb") as file:
            command = [sys.executable, "-c", SUPERVISE, asked]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=file, env=ENVIRONMENT)
        runs.append(Run(process, journal, output))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()
        for _, _, pid in run.notes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
