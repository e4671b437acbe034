"""How a module of ours is run as a program of its own."""

from __future__ import annotations

import sys
from pathlib import Path


def command(module: str, *arguments: str) -> tuple[str, ...]:
    """`python -m module`, by the interpreter that runs now. A folder named proxy or gates where the command is called
    must not take the place of ours, so the current directory is off the path (-P), unless ours is what is there."""
    ours = Path(__file__).resolve().parents[2]
    safely = () if ours == Path.cwd() else ("-P",)
    return (sys.executable, *safely, "-m", module, *arguments)
