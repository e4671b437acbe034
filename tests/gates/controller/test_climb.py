"""Dialogues with a controller: a candidate climbs, while time goes by that counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gates.phases import Event
from proxy.snapshot import Phase
from tests.control import MODEL, PLAN, Desk, in_loop, model_settings


@in_loop
async def test_the_first_start_puts_the_candidate_into_shadow() -> None:
    async with Desk() as desk:
        assert desk.phase is Phase.SHADOW
        assert desk.route.champion.version == "40"
        assert desk.route.candidate is not None
        assert desk.route.candidate.version == "42"
        assert [row.event for row in desk.store.audit] == ["configure", "start"]
        assert desk.store.snapshot == desk.controller.snapshot


@in_loop
async def test_a_good_candidate_climbs_every_stage_and_is_promoted() -> None:
    async with Desk() as desk:
        worker, stages = desk.worker(), []
        while desk.phase is not Phase.PROMOTED:
            stages.append((desk.phase, desk.route.ramp_bp))
            await desk.pass_stage(worker)
        ramp = [(Phase.RAMP, 500), (Phase.RAMP, 5_000), (Phase.RAMP, 10_000)]
        assert stages == [(Phase.SHADOW, 0), *ramp, (Phase.BAKE, 10_000)]
        assert (desk.route.champion.version, desk.route.candidate, desk.route.ramp_bp) == ("42", None, 0)
        assert desk.rollout.candidate_served == 4 * 500
        assert {stage.state for stage in desk.rollout.stages} == {"done"}


@in_loop
async def test_each_stage_starts_without_evidence() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.pass_stage(worker)
        assert desk.phase is Phase.RAMP
        assert (desk.rollout.requests, desk.rollout.elapsed) == (0, 0.0)
        assert all(gate.observations == 0 for gate in desk.rollout.gates)


@in_loop
async def test_what_a_stage_has_shown_late_counts_in_that_stage() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.pass_stage(worker)
        before = worker.windows[MODEL, desk.route.epoch - 1]
        await worker.poll()
        before.candidate_shadow.observe(200, 0.01)
        worker.push()
        await desk.controller.tick()
        assert desk.rollout.requests == 0


@in_loop
async def test_no_stage_is_passed_without_a_request() -> None:
    hasty = replace(PLAN, shadow=replace(PLAN.shadow, min_duration=0, min_requests=0))
    async with Desk(model_settings(plan=hasty, gates=())) as desk:
        worker = desk.worker()
        await desk.wait(60, worker)
        assert desk.rollout.position == 0
        worker.traffic(1)
        await desk.wait(1, worker)
        assert desk.rollout.position == 1


@in_loop
async def test_a_step_that_wants_approval_waits_for_a_person() -> None:
    steps = (PLAN.steps[0], replace(PLAN.steps[1], approval=True), PLAN.steps[2])
    async with Desk(model_settings(plan=replace(PLAN, steps=steps))) as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.AWAITING_APPROVAL, 500, worker)
        await desk.wait(100, worker)
        assert (desk.phase, desk.route.ramp_bp) == (Phase.AWAITING_APPROVAL, 500)
        await desk.command(Event.CLIMB)
        assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 5_000)


@in_loop
async def test_models_do_not_wait_for_each_other() -> None:
    async with Desk(model_settings(), model_settings("ranker", candidate=None)) as desk:
        worker = desk.worker()
        await desk.pass_stage(worker)
        assert desk.phase is Phase.RAMP
        assert desk.controller.snapshot.by_model["ranker"].phase is Phase.IDLE


@in_loop
async def test_windows_of_many_workers_count_together() -> None:
    async with Desk() as desk:
        workers = [desk.worker(f"w{number}") for number in range(3)]
        await desk.wait(1, *workers)
        for worker in workers:
            worker.traffic(40)
        await desk.wait(2, *workers)
        assert desk.rollout.requests == 120


@in_loop
async def test_a_stage_runs_only_while_a_worker_lives() -> None:
    async with Desk() as desk:
        await desk.wait(60)
        assert desk.rollout.elapsed == 0
        worker = desk.worker()
        await desk.wait(6, worker)
        assert desk.rollout.elapsed == 5
        await desk.wait(60)
        assert desk.rollout.elapsed == pytest.approx(8, abs=1)


@in_loop
async def test_one_live_worker_on_an_older_generation_holds_the_clock() -> None:
    async with Desk() as desk:
        prompt, slow = desk.worker("prompt"), desk.worker("slow")
        await desk.wait(3, prompt, slow)
        await desk.command(Event.CLIMB)
        for _ in range(10):
            desk.clock.advance(1)
            await prompt.poll()
            slow.push()
            await desk.controller.tick()
        assert desk.rollout.elapsed == 0
        await desk.wait(6, prompt, slow)
        assert desk.rollout.elapsed == 5


@pytest.mark.parametrize("jump", [-1e6, 1e6])
@in_loop
async def test_the_wall_clock_may_jump(jump: float) -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.wait(4, worker)
        desk.clock.now += jump
        await desk.wait(3, worker)
        assert desk.rollout.elapsed == 6
        assert desk.phase is Phase.SHADOW


@in_loop
async def test_a_controller_that_was_stopped_counts_no_time_for_it() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.wait(3, worker)
        desk.clock.advance(3600)
        await desk.wait(1, worker)
        assert desk.rollout.elapsed <= 5
