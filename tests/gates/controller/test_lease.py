"""The lease to act: a controller that has lost it steps back, and tells what only it knows."""

from __future__ import annotations

import asyncio

import pytest

from gates.controller import lease
from gates.decision import Command
from gates.phases import Event
from gates.ports import StoreError
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop
from tests.wire import PATIENCE

OTHER = "another control plane"


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_EVERY", 0.01)


@in_loop
async def test_who_has_not_the_lease_names_who_has() -> None:
    desk = Desk()
    desk.store.holder = OTHER
    assert not await desk.controller.lease.take()
    assert desk.controller.lease.rival == OTHER
    desk.store.holder = ""
    assert await desk.controller.lease.take()
    assert desk.controller.lease.rival == ""


@in_loop
async def test_a_lost_lease_ends_the_work_and_lets_the_polls_go() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await worker.poll()
        held = asyncio.ensure_future(worker.poll(timeout=3600))
        work = asyncio.ensure_future(desk.controller.run())
        await asyncio.sleep(0.03)
        assert not work.done()
        desk.store.holder = OTHER
        async with asyncio.timeout(PATIENCE):
            await work
            assert not await held
        assert not desk.controller.started


@in_loop
async def test_it_takes_over_again_from_the_stores_truth() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await worker.poll()
        worker.traffic(50)
        worker.push()
        await desk.controller.keep()
        desk.store.holder = OTHER
        await desk.controller.run()
        desk.store.holder = ""
        async with desk.next() as other:
            await other.command(Event.PAUSE, by="bob")
        assert await desk.controller.lease.take()
        await desk.controller.start()
        assert desk.phase is Phase.PAUSED
        assert desk.rollout.requests == 50


@in_loop
async def test_without_the_lease_nothing_but_a_rollback_is_stored() -> None:
    async with Desk() as desk:
        desk.store.holder = OTHER
        with pytest.raises(StoreError):
            await desk.command(Event.PAUSE)
        assert desk.phase is Phase.SHADOW
        await desk.controller.command(MODEL, Command(Event.ROLL_BACK, "ada", "odd scores"))
        assert [row.event for row in desk.store.audit] == ["configure", "start", "roll_back"]


@in_loop
async def test_it_does_not_step_back_before_its_rollback_is_on_record() -> None:
    async with Desk() as desk:
        desk.store.broken = "gone"
        await desk.controller.command(MODEL, Command(Event.ROLL_BACK, "ada", "odd scores"))
        work = asyncio.ensure_future(desk.controller.run())
        await asyncio.sleep(0.05)
        assert not work.done(), "nobody can take a lease from a store that is gone"
        desk.store.broken, desk.store.holder = "", OTHER
        async with asyncio.timeout(PATIENCE):
            while not work.done():
                desk.clock.advance(1.0)
                await asyncio.sleep(0.01)
        assert desk.store.audit[-1].event == "roll_back"
