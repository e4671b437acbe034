"""Runs with figures of the test's choosing."""

from __future__ import annotations

from loadtests.bench.load import Load
from loadtests.bench.measure import Cpu
from loadtests.bench.runs import Run
from loadtests.bench.scenarios import Case


def run(case: Case, rate: float = 1000.0, p99: float = 0.002, failures: int = 0, cpu: float | None = 0.5) -> Run:
    """One second of load; `cpu` is in seconds, None for a run without a proxy."""
    load = Load(int(rate), 1.0, p99 / 2, p99, p99 * 2, failures)
    spent = None if cpu is None else Cpu(cpu * 0.75, cpu * 0.25)
    return Run(case, load, 0.2, spent, None if cpu is None else 32 * 2**20, None, None, None)
