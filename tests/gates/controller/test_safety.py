"""Dialogues with a controller about what keeps a rollout safe: evidence that outlives it, limits, and people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gates.controller.record import decode_inputs
from gates.controller.steering import CoolingDown
from gates.gate import Gate
from gates.phases import Event
from gates.plan import Deadline
from gates.settings import ModelSettings
from gates.verdict import Verdict
from proxy.snapshot import Phase, ShadowPolicy
from tests.control import GATES, MODEL, PLAN, Desk, Worker, in_loop, model_settings

LENIENT = (Gate("errors", "error_rate", 0.9),)


def under(**limits: Any) -> ModelSettings:
    """A model whose plan has these limits, and whose gates say little."""
    return model_settings(plan=replace(PLAN, **limits), gates=LENIENT)


async def failing(desk: Desk, worker: Worker, requests: int = 60) -> None:
    await worker.poll()
    worker.traffic(requests, failures=requests)
    await desk.wait(1, worker)


class TestEvidence:
    @in_loop
    async def test_it_goes_on_to_the_bit_after_a_restart(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            for _ in range(5):
                worker_ready = await worker.poll()
                worker.traffic(40, failures=1)
                await desk.wait(1, worker)
                assert worker_ready or desk.phase is Phase.SHADOW
            await desk.controller.keep()
            before = desk.controller.observer.watches[MODEL]
            async with desk.next() as later:
                after = later.controller.observer.watches[MODEL]
                assert after.evidence == before.evidence
                assert after.seen == before.seen
                assert later.rollout.gates == desk.rollout.gates

    @in_loop
    async def test_a_fault_that_begins_late_in_a_stage_rolls_back(self) -> None:
        held = model_settings(plan=replace(PLAN, shadow=replace(PLAN.shadow, min_duration=1e6)))
        async with Desk(held) as desk:
            worker = desk.worker()
            await worker.poll()
            for _ in range(40):
                worker.traffic(250)
                await desk.wait(1, worker)
            assert desk.rollout.gates[0].verdict is Verdict.PASS
            for _ in range(30):
                worker.traffic(10, failures=2)
                await desk.wait(1, worker)
            assert desk.phase is Phase.ROLLED_BACK
            share = desk.rollout.gates[0].value
            assert share is not None
            assert share < 0.05, "all in all the candidate is well within its limit"

    @in_loop
    async def test_the_record_holds_the_counts_and_judges_again_as_it_did(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.pass_stage(worker)
            await failing(desk, worker)
            for row in desk.store.audit[-2:]:
                inputs = decode_inputs(row.inputs)
                assert inputs.judge() == inputs.observation.results
                assert inputs.window.candidate.answers + inputs.window.candidate_shadow.answers > 0
            assert desk.store.audit[-1].reason.startswith(
                "gate errors: 100.00 % errors, 60 failed of 60: at most 5.00 % errors asked; the champion: 0 failed of"
            )

    @in_loop
    async def test_a_gate_is_judged_in_its_own_stages_alone(self) -> None:
        gates = (Gate("errors", "error_rate", 0.05, scope="ramp"), GATES[1])
        async with Desk(model_settings(gates=gates)) as desk:
            worker = desk.worker()
            await desk.wait(1, worker)
            assert [gate.gate for gate in desk.rollout.gates] == ["agreement"]
            await desk.pass_stage(worker)
            await desk.wait(1, worker)
            assert [gate.gate for gate in desk.rollout.gates] == ["errors", "agreement"]


class TestLimits:
    @in_loop
    async def test_the_cap_on_bad_answers_counts_over_all_stages(self) -> None:
        async with Desk(under(max_bad_answers=50)) as desk:
            worker = desk.worker()
            await desk.command(Event.CLIMB)
            await failing(desk, worker, 30)
            assert (desk.phase, desk.rollout.bad_answers) == (Phase.RAMP, 30)
            await desk.command(Event.CLIMB)
            await failing(desk, worker, 19)
            assert (desk.phase, desk.rollout.bad_answers) == (Phase.RAMP, 49)
            await failing(desk, worker, 1)
            assert (desk.phase, desk.rollout.ended_by_gate) == (Phase.ROLLED_BACK, "")
            assert desk.rollout.reason.startswith("blast radius: the candidate failed 50 requests of clients")

    @in_loop
    async def test_failed_copies_are_nobodys_bad_answers(self) -> None:
        async with Desk(under(max_bad_answers=10)) as desk:
            worker = desk.worker()
            await failing(desk, worker, 30)
            assert (desk.phase, desk.rollout.bad_answers) == (Phase.SHADOW, 0)

    @in_loop
    async def test_one_step_down_needs_no_store(self) -> None:
        lower = model_settings(plan=replace(PLAN, on_fail="step_down"))
        async with Desk(lower) as desk:
            worker = desk.worker()
            await desk.climb_to(Phase.RAMP, 5_000, worker)
            await desk.wait(1, worker)
            desk.store.broken = "disk full"
            await failing(desk, worker)
            assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 500)
            assert desk.rollout.stepped_down
            assert desk.rollout.requests == 0
            desk.store.broken = ""
            await desk.wait(2, worker)
            assert [row.event for row in desk.store.audit][-2:] == ["climb", "step_down"]
            await failing(desk, worker)
            assert desk.phase is Phase.ROLLED_BACK

    @in_loop
    async def test_a_step_down_that_another_controller_made_is_not_made_twice(self) -> None:
        lower = model_settings(plan=replace(PLAN, on_fail="step_down"))
        async with Desk(lower) as desk:
            worker = desk.worker()
            await desk.climb_to(Phase.RAMP, 5_000, worker)
            await desk.wait(1, worker)
            await desk.controller.keep()
            async with desk.next() as other:
                await worker.poll()
                worker.traffic(60, failures=60)
                worker.push()
                worker.controller = other.controller
                worker.push()
                await other.controller.tick()
                assert (other.phase, other.route.ramp_bp) == (Phase.RAMP, 500)
                await desk.controller.tick()
                assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 500)
                assert [row.event for row in desk.store.audit].count("step_down") == 1

    @in_loop
    async def test_a_stage_past_its_deadline_is_recorded_and_goes_on(self) -> None:
        async with Desk(under(deadline=Deadline(30))) as desk:
            await desk.wait(29)
            assert desk.store.audit[-1].event == "start"
            await desk.wait(20)
            assert [row.event for row in desk.store.audit][-2:] == ["start", "overdue"]
            assert (desk.phase, desk.rollout.overdue) == (Phase.SHADOW, True)
            worker = desk.worker()
            await desk.pass_stage(worker)
            assert (desk.phase, desk.rollout.overdue) == (Phase.RAMP, False)

    @in_loop
    async def test_the_deadline_outlives_the_process_and_no_jump_of_the_clock_hastens_it(self) -> None:
        async with Desk(under(deadline=Deadline(30, "roll_back"))) as desk:
            await desk.wait(20)
            await desk.controller.keep()
            desk.clock.now += 86_400
            async with desk.next() as later:
                await later.wait(9)
                assert (later.phase, later.route.ramp_bp) == (Phase.SHADOW, 0)
                await later.wait(3)
                assert later.phase is Phase.ROLLED_BACK
                assert "its deadline" in later.rollout.reason


class TestDryRun:
    @in_loop
    async def test_it_records_once_and_changes_nothing(self) -> None:
        async with Desk(model_settings(plan=replace(PLAN, dry_run=True))) as desk:
            worker = desk.worker()
            await desk.command(Event.CLIMB)
            route = desk.route
            for _ in range(3):
                await failing(desk, worker)
            assert desk.route == route
            assert [row.event for row in desk.store.audit][-2:] == ["climb", "advise"]
            assert desk.rollout.reason.startswith("dry run: would roll back: gate errors: 100.00 % errors")
            await desk.command(Event.ROLL_BACK)
            assert desk.phase is Phase.ROLLED_BACK


class TestCoolDown:
    COOL = model_settings(plan=replace(PLAN, cool_down=600.0), candidate=None)

    async def rolled_back(self, desk: Desk) -> None:
        await desk.controller.start_rollout(MODEL, "42", "ada", "")
        desk.clock.advance(5)
        await desk.command(Event.ROLL_BACK, "ada", "smoke")

    @in_loop
    async def test_the_same_candidate_has_to_wait(self) -> None:
        async with Desk(self.COOL) as desk:
            await self.rolled_back(desk)
            desk.clock.advance(100)
            with pytest.raises(
                CoolingDown, match=r"was rolled back 1 min 40 s ago: smoke; the cool-down has 8 min 20 s left"
            ):
                await desk.controller.start_rollout(MODEL, "42", "ada", "")
            await desk.controller.start_rollout(MODEL, "43", "ada", "")
            await desk.command(Event.ROLL_BACK)
            with pytest.raises(CoolingDown):
                await desk.controller.start_rollout(MODEL, "42", "ada", "")
            desk.clock.advance(500)
            await desk.controller.start_rollout(MODEL, "42", "ada", "")
            assert desk.phase is Phase.SHADOW

    @in_loop
    async def test_a_person_may_override_it_and_the_record_says_so(self) -> None:
        async with Desk(self.COOL) as desk:
            await self.rolled_back(desk)
            await desk.controller.start_rollout(MODEL, "42", "ada", "fixed", override=True)
            assert desk.store.audit[-1].reason == "fixed (whatever the cool-down)"

    @in_loop
    async def test_a_rollback_for_a_new_champion_says_nothing_against_the_candidate(self) -> None:
        cool = model_settings(plan=replace(PLAN, cool_down=600.0))
        async with Desk(cool) as desk, desk.next(replace(cool, champion="41")) as later:
            assert desk.rollout.candidate == later.rollout.candidate == "42"
            assert later.phase is Phase.SHADOW


class TestStatus:
    @in_loop
    async def test_it_forecasts_each_gate_and_shows_the_budget(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.wait(2, worker)
            worker.traffic(30)
            await desk.wait(2, worker)
            errors, agreement, p99 = desk.rollout.forecasts
            assert (errors.gate, errors.verdict, agreement.verdict, p99.gate) == ("errors", "PASS", "PASS", "p99")
            assert errors.requests is not None
            assert errors.seconds is not None
            worker.traffic(errors.requests)
            await desk.wait(1, worker)
            assert desk.rollout.gates[0].verdict is Verdict.PASS
            assert desk.rollout.false_alarm == 0.01
            assert desk.rollout.false_alarm_each == 0.01 / (2 * 5 + 1)

    @in_loop
    async def test_gates_that_cannot_be_decided_are_named(self) -> None:
        blind = model_settings(shadow=ShadowPolicy(share_bp=0))
        async with Desk(blind) as desk:
            named = [warning for warning in desk.rollout.warnings if "agreement" in warning]
            assert len(named) == len(PLAN.stages)
            assert named[1] == (
                "gate agreement in the stage 5 % cannot be decided: nothing is copied, so it sees nothing in this stage"
            )

    @in_loop
    async def test_the_champion_is_watched_before_and_after_a_rollback(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await worker.poll()
            worker.window().champion.observe(500, 0.01)
            await failing(desk, worker)
            assert desk.phase is Phase.ROLLED_BACK
            assert desk.rollout.reason.endswith("the champion: 1 failed of 61")
            assert desk.rollout.champion.answers == 0
            await worker.poll()
            for _ in range(40):
                worker.window().champion.observe(500, 0.01)
            await desk.wait(1, worker)
            assert desk.rollout.champion.verdict is Verdict.FAIL
