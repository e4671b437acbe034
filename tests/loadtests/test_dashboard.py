"""What the dashboard's bench makes of its turns."""

from __future__ import annotations

import os

from loadtests.dashboard import Costs, Heaps, cpu_seconds, report


def test_differences_are_told_turn_by_turn_and_memory_by_the_hour() -> None:
    costs: Costs = {
        False: [{"control plane": 0.10, "workers": 0.5}, {"control plane": 0.12, "workers": 0.5}],
        True: [{"control plane": 0.11, "workers": 0.5}, {"control plane": 0.13, "workers": 0.5}],
    }
    heaps: Heaps = [[(0.0, 10.0), (50.0, 10.05), (100.0, 10.1)], [(0.0, 10.1), (100.0, 10.1)]]
    control, workers, first, second = report(costs, heaps)
    assert "11.00% of a core alone, 12.00% with a page open: +1.00% (turn by turn +1.00%, +1.00%)" in control
    assert "+0.00%" in workers
    assert first == "browser's heap: 10.0 MiB at first, 10.1 at last, +3.6 MiB an hour"
    assert second.endswith("nan MiB an hour"), "two looks are no slope"


def test_cpu_seconds_of_a_process_are_those_that_the_kernel_tells() -> None:
    before = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) - before < 0.05:
        sum(range(10_000))
    assert cpu_seconds(os.getpid()) <= sum(os.times()[:2]) + 0.05
