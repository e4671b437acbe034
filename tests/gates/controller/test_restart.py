"""Dialogues with two controllers, one after the other: what the first knew, the second knows."""

from __future__ import annotations

from gates.phases import Event
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop


@in_loop
async def test_a_promotion_survives() -> None:
    async with Desk() as desk:
        await desk.command(Event.PROMOTE)
        async with desk.next() as later:
            assert later.route.champion.version == "42"
            assert later.controller.snapshot == desk.controller.snapshot
            assert later.phase is Phase.PROMOTED


@in_loop
async def test_a_candidate_that_was_rolled_back_is_not_tried_again() -> None:
    async with Desk() as desk:
        await desk.command(Event.ROLL_BACK)
        await desk.controller.start_rollout(MODEL, "43", "ada", "")
        await desk.command(Event.ROLL_BACK)
        async with desk.next() as later:
            assert later.phase is Phase.ROLLED_BACK
            assert later.rollout.candidate == "43"


@in_loop
async def test_the_end_of_the_process_loses_what_was_seen_since_the_last_keep() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.wait(5, worker)
        worker.traffic(50)
        await desk.wait(1, worker)
        await desk.controller.keep()
        worker.traffic(7)
        await desk.wait(1, worker)
        seen = desk.rollout
        async with desk.next() as later:
            assert later.rollout.requests == 50
            assert seen.elapsed - later.rollout.elapsed == 1
            worker.controller = later.controller
            await later.wait(1, worker)
            assert later.rollout.requests == 57


@in_loop
async def test_what_was_served_in_earlier_stages_is_remembered() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.RAMP, 10_000, worker)
        assert desk.rollout.candidate_served == 1000
        await desk.controller.keep()
        async with desk.next() as later:
            assert later.rollout.candidate_served == 1000


@in_loop
async def test_a_stage_never_inherits_the_clock_of_the_one_before() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.wait(8, worker)
        await desk.controller.keep()
        await desk.command(Event.CLIMB)
        async with desk.next() as later:
            assert later.rollout.elapsed == 0


@in_loop
async def test_nothing_is_committed_where_nothing_changed() -> None:
    async with Desk() as desk:
        before = len(desk.store.audit)
        async with desk.next():
            assert len(desk.store.audit) == before


@in_loop
async def test_only_what_is_kept_of_a_rollout_stays_in_the_store() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.pass_stage(worker)
        await desk.controller.keep()
        assert len(desk.store.windows) == 1
        await desk.command(Event.ROLL_BACK)
        await worker.poll()
        worker.traffic(5)
        await desk.wait(1, worker)
        await desk.controller.keep()
        assert all(epoch < desk.route.epoch for _, _, epoch in desk.store.windows)
        await desk.controller.start_rollout(MODEL, "43", "ada", "")
        assert not desk.store.windows
