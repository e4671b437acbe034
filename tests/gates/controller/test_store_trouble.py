"""Dialogues with a controller whose store fails, or hangs."""

from __future__ import annotations

import pytest

from gates.controller import book
from gates.phases import Event
from gates.ports import StoreError
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop, model_settings, until
from tests.wire import PATIENCE


@in_loop
async def test_a_rollback_takes_effect_and_is_recorded_later() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.wait(2, worker)
        desk.store.broken = "disk full"
        worker.traffic(100, failures=100)
        await desk.wait(1, worker)
        assert desk.phase is Phase.ROLLED_BACK
        assert await worker.poll()
        assert worker.snapshot.by_model[MODEL].candidate is None
        assert desk.controller.queries.status().store_trouble == "disk full"
        assert desk.store.audit[-1].event == "start"
        desk.store.broken = ""
        await desk.wait(2, worker)
        assert desk.store.audit[-1].event == "roll_back"
        assert desk.store.snapshot == desk.controller.snapshot
        assert desk.controller.queries.status().store_trouble == ""


@in_loop
async def test_a_store_that_can_be_read_is_not_well_for_that() -> None:
    """A full one is: whoever is on call would see its trouble come and go with each look at the record."""
    async with Desk() as desk:
        desk.store.broken = "disk full"
        with pytest.raises(StoreError):
            await desk.command(Event.PAUSE)
        desk.store.broken = ""
        await desk.controller.queries.events(MODEL, 10)
        assert desk.controller.queries.status().store_trouble == "disk full"
        await desk.command(Event.PAUSE)
        assert desk.controller.queries.status().store_trouble == ""


@in_loop
async def test_a_persons_rollback_needs_no_store_and_all_else_does() -> None:
    async with Desk(model_settings(), model_settings("ranker")) as desk:
        desk.store.broken = "gone"
        with pytest.raises(StoreError, match="gone"):
            await desk.command(Event.CLIMB)
        assert desk.rollout.position == 0
        await desk.command(Event.ROLL_BACK)
        with pytest.raises(StoreError, match="gone"):
            await desk.controller.start_rollout(MODEL, "43", "ada", "")
        assert desk.phase is Phase.ROLLED_BACK


@in_loop
async def test_a_climb_waits_and_serving_goes_on() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.wait(1, worker)
        desk.store.broken = "gone"
        worker.traffic(500)
        await desk.wait(30, worker)
        assert desk.rollout.position == 0
        assert not await worker.poll()
        desk.store.broken = ""
        await desk.wait(2, worker)
        assert desk.rollout.position == 1


@in_loop
async def test_what_could_not_be_kept_is_kept_the_next_time() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.wait(1, worker)
        worker.traffic(10)
        await desk.wait(2, worker)
        desk.store.broken = "gone"
        await desk.controller.keep()
        desk.store.broken = ""
        await desk.controller.keep()
        assert len(desk.store.windows) == 1
        assert desk.store.clocks["r1"].seconds == 2


@in_loop
async def test_a_store_that_hangs_holds_no_rollback_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Desk() as desk:
        desk.store.gate.clear()
        monkeypatch.setattr(book, "STORE_SECONDS", 0.05)
        await desk.command(Event.ROLL_BACK)
        assert desk.phase is Phase.ROLLED_BACK
        with pytest.raises(StoreError, match="does not answer"):
            await desk.controller.start_rollout(MODEL, "43", "ada", "")
        monkeypatch.setattr(book, "STORE_SECONDS", PATIENCE)
        desk.store.gate.set()
        await until(lambda: desk.store.audit[-1].event == "roll_back")
        await desk.wait(2)
        assert desk.store.audit[-1].event == "roll_back"
        assert desk.store.snapshot == desk.controller.snapshot
