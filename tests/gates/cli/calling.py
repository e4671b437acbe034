"""The command line as a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.servers import START_PATIENCE

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
# As the installed script does it: the current directory is not on the path.
PENSTOCK = [sys.executable, "-P", "-m", "gates"]


def called(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PENSTOCK, *arguments],
        cwd=cwd,
        env=ENVIRONMENT | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_PATIENCE,
    )
