"""Dialogues with a controller: a candidate that fails, or that people take back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gates.gate import Gate
from gates.phases import Event
from proxy.snapshot import Phase
from tests.control import PLAN, Desk, in_loop, model_settings


@in_loop
async def test_a_bad_candidate_loses_its_traffic_at_the_tick_that_sees_it() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.RAMP, 5_000, worker)
        await worker.poll()
        worker.traffic(100, failures=60)
        worker.push()
        await desk.controller.tick()
        assert (desk.phase, desk.route.candidate, desk.route.ramp_bp) == (Phase.ROLLED_BACK, None, 0)
        assert desk.rollout.ended_by_gate == "errors"
        assert await worker.poll()
        assert worker.snapshot == desk.controller.snapshot


@pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.AWAITING_APPROVAL])
@in_loop
async def test_gates_watch_while_people_are_waited_for(phase: Phase) -> None:
    steps = tuple(replace(step, approval=True) for step in PLAN.steps)
    async with Desk(model_settings(plan=replace(PLAN, steps=steps))) as desk:
        worker = desk.worker()
        await desk.pass_stage(worker)
        if phase is Phase.PAUSED:
            await desk.command(Event.PAUSE)
        assert desk.phase is phase
        await worker.poll()
        worker.traffic(600, failures=600)
        await desk.wait(1, worker)
        assert desk.phase is Phase.ROLLED_BACK


@in_loop
async def test_a_persons_rollback_needs_no_tick() -> None:
    async with Desk() as desk:
        await desk.command(Event.ROLL_BACK, "ada", "smells of smoke")
        assert desk.phase is Phase.ROLLED_BACK
        assert (desk.rollout.ended_by_gate, desk.rollout.reason) == ("", "smells of smoke")
        assert desk.store.audit[-1].by == "ada"


@in_loop
async def test_a_gates_rollback_comes_before_a_persons_wish() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await worker.poll()
        worker.traffic(100, failures=100)
        worker.push()
        await desk.command(Event.PROMOTE)
        assert desk.phase is Phase.ROLLED_BACK


@in_loop
async def test_advisory_gates_roll_nothing_back() -> None:
    gates = (Gate("errors", "error_rate", 0.05, severity="advisory"),)
    async with Desk(model_settings(gates=gates)) as desk:
        worker = desk.worker()
        await worker.poll()
        worker.traffic(100, failures=100)
        await desk.wait(1, worker)
        assert desk.phase is Phase.SHADOW
        assert desk.rollout.gates[0].verdict == "FAIL"


@in_loop
async def test_what_was_seen_last_stays_on_show() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await worker.poll()
        worker.traffic(100, failures=60)
        await desk.wait(1, worker)
        await desk.controller.keep()
        seen = desk.rollout
        assert (seen.light, seen.lanes["candidate_shadow"].failures) == ("NO-GO", 60)
        async with desk.next() as later:
            assert later.rollout == seen
