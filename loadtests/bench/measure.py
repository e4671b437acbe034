"""What a proxy costs, from /proc: CPU time and memory of a process and all that it started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds on a core, in the program's own code and in the kernel's on its behalf."""

    user: float = 0.0
    system: float = 0.0

    def __add__(self, other: Cpu) -> Cpu:
        return Cpu(self.user + other.user, self.system + other.system)

    def __sub__(self, other: Cpu) -> Cpu:
        return Cpu(self.user - other.user, self.system - other.system)

    @property
    def total(self) -> float:
        return self.user + self.system


def cpu(pid: int) -> Cpu:
    """CPU time so far, to a clock tick (10 ms): proc(5), /proc/pid/stat, fields 14 and 15."""
    return sum((_cpu_of_one(member) for member in family(pid)), Cpu())


def peak_rss(pid: int) -> int:
    """Bytes at the highest, added up over the processes: pages that they share are counted in each."""
    return sum(_peak_of_one(member) for member in family(pid))


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    members = [pid]
    for member in members:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            members += map(int, children.read_text().split())
    return members


def _cpu_of_one(pid: int) -> Cpu:
    # The second field is the command in brackets, and may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Cpu(int(fields[11]) * _TICK, int(fields[12]) * _TICK)


def _peak_of_one(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
