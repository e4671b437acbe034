"""CPU and memory, read from the kernel, of a process and of those that it started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from loadtests.bench import measure

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
sys.stdin.readline()
"""
CHILD = """
import time
kept = bytearray(b"x") * (48 << 20)
end = time.process_time() + 0.3
while time.process_time() < end: pass
print("ready", flush=True)
input()
"""


@pytest.fixture
def parent() -> Iterator[int]:
    """A process whose child has used 0.3 s of CPU and holds 48 MiB."""
    program = f"CHILD = {CHILD!r}\n{PARENT}"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process.pid
    process.communicate(b"\n", timeout=60)


def test_a_family_is_measured_together(parent: int) -> None:
    members = measure.family(parent)

    assert members[0] == parent
    assert len(members) == 2
    assert measure.cpu(parent).total >= 0.25
    assert measure.peak_rss(parent) >= 48 << 20


def test_cpu_adds_up_and_subtracts() -> None:
    difference = measure.Cpu(3.0, 2.0) - (measure.Cpu(1.0, 0.5) + measure.Cpu(0.5, 0.5))

    assert (difference.user, difference.system, difference.total) == (1.5, 1.0, 2.5)
