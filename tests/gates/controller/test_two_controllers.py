"""Dialogues with two controllers over one store."""

from __future__ import annotations

from gates.phases import Event
from proxy.snapshot import Phase
from tests.control import Desk, in_loop


@in_loop
async def test_the_slower_one_goes_on_from_the_stores_truth() -> None:
    async with Desk() as one, one.next() as other:
        await other.command(Event.CLIMB)
        await one.command(Event.CLIMB)
        assert (one.phase, one.route.ramp_bp) == (Phase.RAMP, 5_000)
        assert one.controller.snapshot == one.store.snapshot


@in_loop
async def test_a_rollback_by_the_other_is_seen_without_a_commit_of_ones_own() -> None:
    async with Desk() as one, one.next() as other:
        await other.command(Event.ROLL_BACK)
        await one.controller.keep()
        assert one.phase is Phase.ROLLED_BACK


@in_loop
async def test_a_rollback_outlives_the_others_climb() -> None:
    async with Desk() as one, one.next() as other:
        one.store.broken = "gone"
        await one.command(Event.ROLL_BACK, "ada", "smoke")
        one.store.broken = ""
        await other.command(Event.CLIMB)
        await one.wait(2)
        await one.wait(2)
        assert one.phase is Phase.ROLLED_BACK
        assert one.store.snapshot == one.controller.snapshot
        assert (one.store.audit[-1].event, one.store.audit[-1].reason) == ("roll_back", "smoke")


@in_loop
async def test_a_rollout_that_the_other_ended_stays_ended() -> None:
    async with Desk() as one, one.next() as other:
        one.store.broken = "gone"
        await one.command(Event.ROLL_BACK, "ada", "smoke")
        one.store.broken = ""
        await other.command(Event.PROMOTE)
        await one.wait(2)
        assert one.route.champion.version == "42"
        assert one.store.snapshot == one.controller.snapshot
