"""What the dashboard's bench makes of its turns."""

from __future__ import annotations

import os

from loadtests.dashboard import Look, Stretch, cpu_seconds, memory, report, resident


def stretch(control: float, *looks: Look) -> Stretch:
    return Stretch({"control plane": control, "workers": 0.5}, looks)


def look(at: float, heap: float) -> Look:
    return Look(at, heap, resident=80.0, elements=500, listeners=40)


def test_a_page_is_compared_with_the_time_before_and_after_it() -> None:
    looks = (look(0, 10), look(50, 10))
    drifting = [stretch(0.10), stretch(0.12), stretch(0.14)]
    control, workers, *memories = report(drifting, [stretch(0.12, *looks), stretch(0.14, *looks)])
    assert control.startswith("control plane: 12.00% of a core alone (10.00%, 12.00%, 14.00%), 13.00% with a page open")
    assert control.endswith("open: +1.00% (+1.00%, +1.00%)")
    assert workers.endswith("+0.00% (+0.00%, +0.00%)")
    assert len(memories) == 2 * 4, "of each page, what it held of each kind"


def test_growth_counts_from_when_the_page_is_full() -> None:
    filling = [look(0, 10), look(300, 20)]
    full = [look(720 + 60 * minute, 30 + minute / 60) for minute in range(10)]
    heap, resident, *_ = memory(filling + full)
    assert heap.endswith("most 30; +1.0 an hour")
    assert "80 at 21 min; most 80; " in resident
    assert next(memory(filling)).endswith("too short to tell a growth")


def test_cpu_seconds_of_a_process_are_those_that_the_kernel_tells() -> None:
    before = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) - before < 0.05:
        sum(range(10_000))
    assert cpu_seconds(os.getpid()) <= sum(os.times()[:2]) + 0.05


def test_resident_memory_is_what_a_process_has_to_itself() -> None:
    before = resident(os.getpid())
    held = bytearray(64 * 2**20)
    held[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(held[:: os.sysconf("SC_PAGE_SIZE")])
    assert 60 < resident(os.getpid()) - before < 80
