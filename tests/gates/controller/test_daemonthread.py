from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from gates.controller.daemonthread import DaemonThread, in_thread
from tests.control import in_loop
from tests.wire import PATIENCE


@in_loop
async def test_calls_run_in_order_and_off_the_loop() -> None:
    thread, seen = DaemonThread("test"), list[tuple[int, str]]()

    def note(number: int) -> None:
        seen.append((number, threading.current_thread().name))

    await asyncio.gather(*(in_thread(thread, note, number) for number in range(20)))
    assert seen == [(n, "test") for n in range(20)]
    thread.shutdown()


@in_loop
async def test_what_a_call_raises_is_raised_to_who_asked() -> None:
    thread = DaemonThread("test")
    with pytest.raises(ZeroDivisionError):
        await in_thread(thread, lambda: 1 / 0)
    assert await in_thread(thread, int, "7") == 7
    thread.shutdown()


@in_loop
async def test_a_call_that_is_given_up_before_its_turn_is_not_made() -> None:
    thread, gate, made = DaemonThread("test"), threading.Event(), list[int]()
    first = asyncio.ensure_future(in_thread(thread, gate.wait))
    second = asyncio.ensure_future(in_thread(thread, made.append, 2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    gate.set()
    await first
    await in_thread(thread, made.append, 3)
    assert made == [3]
    thread.shutdown()


def test_a_call_that_never_returns_holds_no_exit_up() -> None:
    program = """
import threading
from gates.controller.daemonthread import DaemonThread
DaemonThread("stuck").submit(threading.Event().wait)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)


def test_a_thread_that_was_never_used_is_shut_down_too() -> None:
    DaemonThread("unused").shutdown()
