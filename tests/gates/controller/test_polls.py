"""Dialogues between a controller and its workers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gates.phases import Event
from proxy import snapshot as snapshots
from proxy.snapshot import Phase
from tests.control import Desk, in_loop, until
from tests.wire import PATIENCE


@in_loop
async def test_a_poll_is_held_until_something_changes() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await worker.poll()
        held = asyncio.ensure_future(desk.controller.poll("w1", worker.snapshot.generation, 3600))
        await asyncio.sleep(0)
        assert not held.done()
        await desk.command(Event.CLIMB)
        raw = await held
        assert raw is not None
        assert snapshots.decode(raw) == desk.controller.snapshot


@in_loop
async def test_a_poll_acknowledges_what_was_sent_from_here_alone() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        worker.snapshot = replace(desk.controller.snapshot, routes=())
        assert worker.snapshot.generation == desk.controller.snapshot.generation
        assert await worker.poll()
        assert worker.snapshot == desk.controller.snapshot
        assert desk.controller.queries.status().workers == {"w1": desk.controller.snapshot.generation}


@in_loop
async def test_workers_are_listed_while_they_live() -> None:
    async with Desk() as desk:
        desk.worker("mute").push()
        assert desk.controller.queries.status().workers == {"mute": 0}
        desk.clock.advance(3.5)
        assert desk.controller.queries.status().workers == {}


@in_loop
async def test_nobody_waits_for_a_controller_that_ends() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await worker.poll()
        held = asyncio.ensure_future(worker.poll(timeout=3600))
        await asyncio.sleep(0)
        desk.controller.release()
        assert not await held


@in_loop
async def test_a_push_is_judged_before_the_next_tick_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gates.controller.controller.TICK_EVERY", 3600)
    async with Desk() as desk:
        loops = asyncio.ensure_future(desk.controller.run())
        worker = desk.worker()
        await worker.poll()
        await asyncio.sleep(0.1)
        worker.traffic(100, failures=100)
        worker.push()
        assert await desk.controller.poll("w1", worker.snapshot.generation, PATIENCE) is not None
        assert desk.phase is Phase.ROLLED_BACK
        loops.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loops


@in_loop
async def test_windows_are_kept_as_time_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gates.controller.controller.KEEP_EVERY", 0.01)
    async with Desk() as desk:
        loops = asyncio.ensure_future(desk.controller.run())
        worker = desk.worker()
        await worker.poll()
        worker.traffic(1)
        worker.push()
        await until(lambda: bool(desk.store.windows))
        loops.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loops
