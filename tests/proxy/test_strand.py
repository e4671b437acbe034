from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from proxy.strand import Signal, Strand


class _Log(list[str]):
    """What happened, in order."""

    def strand(self, coroutine: Coroutine[Any, None, None]) -> Strand:
        return Strand(coroutine, lambda _: self.append("ended"))


def test_a_strand_starts_at_once_and_goes_on_within_the_call_that_fires() -> None:
    async def scene() -> None:
        log, signal = _Log(), Signal(asyncio.get_running_loop())

        async def work() -> None:
            log.append("begun")
            await signal
            log.append("gone on")

        log.strand(work()).go_on()
        assert log == ["begun"]
        signal.fire()
        assert log == ["begun", "gone on", "ended"]

    asyncio.run(scene())


def test_a_signal_that_was_fired_is_not_waited_for() -> None:
    async def scene() -> None:
        log, signal = _Log(), Signal(asyncio.get_running_loop())
        signal.fire()

        async def work() -> None:
            await signal
            log.append("gone on")

        log.strand(work()).go_on()
        assert log == ["gone on", "ended"]

    asyncio.run(scene())


def test_a_task_may_wait_for_a_signal() -> None:
    async def scene() -> str:
        signal = Signal(asyncio.get_running_loop())

        async def work() -> str:
            await signal
            return "gone on"

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        signal.fire()
        assert not task.done()
        return await task

    assert asyncio.run(scene()) == "gone on"


def test_a_task_that_waits_for_a_signal_can_be_cancelled() -> None:
    async def scene() -> None:
        signal = Signal(asyncio.get_running_loop())

        async def work() -> None:
            await signal

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())


def test_a_strand_may_wait_for_a_future_and_for_a_task() -> None:
    async def scene() -> None:
        log, over = _Log(), asyncio.Event()
        loop = asyncio.get_running_loop()

        async def answer() -> str:
            return "task"

        async def work() -> None:
            log.append(await loop.run_in_executor(None, lambda: "future"))
            log.append(await loop.create_task(answer()))

        Strand(work(), lambda _: over.set()).go_on()
        await over.wait()
        assert log == ["future", "task"]

    asyncio.run(scene())


def test_a_cancelled_strand_ends_where_it_waits_and_only_there() -> None:
    async def scene() -> None:
        log, signal = _Log(), Signal(asyncio.get_running_loop())

        async def work() -> None:
            try:
                await signal
            finally:
                log.append("cleared up")

        strand = log.strand(work())
        strand.go_on()
        strand.cancel()
        assert log == ["cleared up", "ended"]
        strand.cancel()
        signal.fire()
        assert log == ["cleared up", "ended"]

    asyncio.run(scene())


def test_a_strand_that_is_cancelled_just_as_its_future_comes_does_not_go_on_twice() -> None:
    """The future has told the loop already; what it tells is late by then."""

    async def scene() -> None:
        log, later = _Log(), Signal(asyncio.get_running_loop())
        future = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                await future
            except asyncio.CancelledError:
                log.append("cancelled")
            await later
            log.append("gone on")

        strand = log.strand(work())
        strand.go_on()
        future.set_result(None)
        strand.cancel()
        await asyncio.sleep(0)
        assert log == ["cancelled"]
        later.fire()
        assert log == ["cancelled", "gone on", "ended"]

    asyncio.run(scene())


def test_what_nobody_handles_is_raised_where_the_strand_ran() -> None:
    log = _Log()

    async def work() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        log.strand(work()).go_on()
    assert log == ["ended"]
