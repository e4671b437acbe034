"""The helper as a real process: what it finds, when there is one, and what becomes of pairs when there is none."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

import pytest

from proxy.comparison import Answer
from proxy.helper import client
from proxy.helper.client import COMMAND, Helper
from proxy.helper.frames import framed
from proxy.pairs import Found, Pair, look_at
from proxy.snapshot import AgreementSpec
from tests.servers import eventually
from tests.wire import PATIENCE

Scenario = Callable[[Helper], Awaitable[None]]


def pair(rows: int = 10_000, differing: int = 1) -> Pair:
    champion, candidate = [0.5] * rows, [0.9] * differing + [0.5] * (rows - differing)
    return Pair(answer(champion), answer(candidate), AgreementSpec())


def answer(numbers: list[float]) -> Answer:
    return Answer(200, [], json.dumps({"predictions": numbers}).encode())


def run(scenario: Scenario, command: tuple[str, ...] = COMMAND) -> None:
    async def running() -> None:
        helper = Helper(asyncio.get_running_loop(), command)
        try:
            await scenario(helper)
        finally:
            helper.stop()

    asyncio.run(running())


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def until_gone(pid: int) -> None:
    """And has left no zombie behind."""
    async with asyncio.timeout(PATIENCE):
        while not is_gone(pid):  # noqa: ASYNC110 - it dies beside us
            await asyncio.sleep(0.01)


def test_it_finds_what_the_worker_would_have_found() -> None:
    async def scenario(helper: Helper) -> None:
        assert helper.pid is None, "no process before there is a need"
        for one in (pair(), pair(differing=0), pair(rows=3)):
            for counted in (True, False):
                found = await helper.look_at(one, counted)
                assert isinstance(found, Found)
                here = look_at(one, counted, monotonic)
                assert (found.comparison, found.outputs) == (here.comparison, here.outputs)
                assert found.seconds > 0

    run(scenario)


def test_pairs_are_answered_in_order_and_those_that_come_while_it_starts_wait_for_it() -> None:
    async def scenario(helper: Helper) -> None:
        for _ in range(2):
            found = await asyncio.gather(*(helper.look_at(pair(100, differing), False) for differing in range(20)))
            assert [one.comparison.rows_disagreed for one in found if isinstance(one, Found)] == list(range(20))

    run(scenario)


def test_no_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(helper: Helper) -> None:
        await helper.look_at(pair(), False)
        monkeypatch.setattr(client, "MOST_WAITING", int(pair().size * 2.5))
        found = await asyncio.gather(*(helper.look_at(pair(), False) for _ in range(5)))
        assert [found for found in found if isinstance(found, str)] == ["helper_busy"] * 3
        assert isinstance(await helper.look_at(pair(40_000), False), Found), "one alone may have any size"

    run(scenario)


def test_a_helper_that_is_killed_is_missed_and_then_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(client, "REST", 1000.0)

    async def scenario(helper: Helper) -> None:
        await helper.look_at(pair(), False)
        first = helper.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        asked = asyncio.ensure_future(helper.look_at(pair(), False))
        await asyncio.sleep(0.01)
        os.kill(first, signal.SIGKILL)
        assert await asked == "helper_lost"
        await until_gone(first)
        assert await helper.look_at(pair(), False) == "helper_lost", "not one start after the other"
        monkeypatch.setattr(client, "monotonic", lambda: monotonic() + client.REST)
        assert isinstance(await helper.look_at(pair(), False), Found)
        assert helper.pid not in (None, first)

    with caplog.at_level(logging.WARNING):
        run(scenario)
    assert caplog.text.count("has ended") == 1


def test_the_loop_does_not_wait_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a core that others fill, what runs at idle priority takes up to two seconds to die."""
    waiting: list[threading.Thread] = []
    wait = subprocess.Popen.wait

    def observed(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        waiting.append(threading.current_thread())
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", observed)

    async def scenario(helper: Helper) -> None:
        await helper.look_at(pair(), False)
        assert helper.pid is not None
        os.kill(helper.pid, signal.SIGKILL)
        await until_gone(helper.pid)

    run(scenario)
    assert len(waiting) == 1
    assert threading.main_thread() not in waiting


def test_a_helper_that_is_stuck_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LONGEST", 0.05)

    async def scenario(helper: Helper) -> None:
        assert await helper.look_at(pair(), False) == "helper_lost"
        assert helper.pid is None

    run(scenario, (sys.executable, "-c", "import time; time.sleep(60)"))


@pytest.mark.parametrize(
    "command",
    [
        ("/nowhere/python",),
        (sys.executable, "-c", "pass"),
        (sys.executable, "-c", "import os; os.write(1, b'\\x02\\0\\0\\0xx' * 9); import time; time.sleep(60)"),
    ],
    ids=["cannot be started", "ends at once", "talks nonsense"],
)
def test_without_a_helper_that_works_pairs_are_passed_over(command: tuple[str, ...]) -> None:
    async def scenario(helper: Helper) -> None:
        assert await helper.look_at(pair(), False) == "helper_lost"
        assert await helper.look_at(pair(), False) == "helper_lost"

    run(scenario, command)


def test_one_that_is_stopped_leaves_no_process_and_starts_no_other() -> None:
    async def scenario(helper: Helper) -> None:
        await helper.look_at(pair(), False)
        pid = helper.pid
        assert pid is not None
        helper.stop()
        await until_gone(pid)
        assert await helper.look_at(pair(), False) == "helper_lost"

    run(scenario)


def test_it_ends_with_its_worker() -> None:
    """Even one that is killed outright says so by closing the stream, in the middle of a pair or between two."""
    for sent in (b"", b"".join(framed(pair(10), False))[:50]):
        helper = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert helper.stdin is not None
        helper.stdin.write(sent)
        helper.stdin.close()
        assert helper.wait(PATIENCE) == 0
        assert helper.stdout is not None
        helper.stdout.close()


def test_a_terminal_that_interrupts_the_worker_does_not_take_its_helper_away() -> None:
    async def scenario(helper: Helper) -> None:
        await helper.look_at(pair(), False)
        assert helper.pid is not None
        os.kill(helper.pid, signal.SIGINT)
        assert isinstance(await helper.look_at(pair(), False), Found)

    run(scenario)


def test_the_worker_goes_first() -> None:
    async def scenario(helper: Helper) -> None:
        await helper.look_at(pair(), False)
        assert helper.pid is not None
        eventually(lambda: os.getpriority(os.PRIO_PROCESS, helper.pid or 0) == 19)
        eventually(lambda: os.sched_getscheduler(helper.pid or 0) == os.SCHED_IDLE)

    run(scenario)
