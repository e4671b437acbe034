"""Dialogues with a controller whose configuration changes while a rollout is under way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gates.controller.record import decode_inputs
from gates.controller.replay import replay
from gates.controller.routes import Unroutable
from gates.gate import Gate
from gates.phases import Event
from gates.plan import Deadline
from gates.ports import StoreError
from gates.settings import ModelSettings
from proxy.snapshot import AgreementSpec, Origin, Phase
from proxy.window import Window
from tests.control import GATES, PLAN, Desk, in_loop, model_settings, settings_of

STRICTER = (Gate("errors", "error_rate", 0.01), *GATES[1:])


async def change(desk: Desk, *models: ModelSettings) -> None:
    await desk.controller.configure(settings_of(*models))


def decisions(desk: Desk) -> list[tuple[str, str]]:
    """(event, by) since the start; all of them come out again as they were made."""
    rows = [row for row in desk.store.audit if row.rollout]
    assert not any(each.differences for each in replay(rows))
    return [(row.event, row.by) for row in rows[1:]]


@in_loop
async def test_another_gate_begins_a_new_epoch_with_evidence_of_its_own() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.wait(4, worker)
        worker.traffic(150, failures=2)
        await desk.wait(2, worker)
        before, generation = desk.route, desk.controller.snapshot.generation
        await change(desk, model_settings(gates=STRICTER))
        assert desk.route == replace(before, epoch=generation + 1)
        assert (desk.rollout.requests, desk.rollout.elapsed) == (0, 0.0)
        assert desk.rollout.reason == "the configuration changed gate errors (another)"
        await worker.poll()
        worker.traffic(50, failures=50)
        await desk.wait(2, worker)
        assert desk.phase is Phase.ROLLED_BACK
        assert decisions(desk) == [("amend", "configuration"), ("roll_back", "controller")]


@in_loop
async def test_what_was_seen_is_judged_by_the_gates_of_its_time() -> None:
    """A rollback that is due comes before other gates, however lax."""
    async with Desk() as desk:
        worker = desk.worker()
        await worker.poll()
        worker.traffic(100, failures=100)
        worker.push()
        await change(desk, model_settings(gates=()))
        assert desk.phase is Phase.ROLLED_BACK
        assert decisions(desk) == [("roll_back", "controller")]


@in_loop
async def test_a_deadline_or_a_duration_changes_and_the_evidence_stays() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.wait(4, worker)
        worker.traffic(150)
        await desk.wait(2, worker)
        before = desk.rollout
        patient = replace(PLAN, shadow=replace(PLAN.shadow, min_duration=60), deadline=Deadline(90))
        await change(desk, model_settings(plan=patient))
        assert (desk.rollout.requests, desk.rollout.elapsed) == (before.requests, before.elapsed)
        await desk.wait(50, worker)
        assert (desk.phase, desk.route.ramp_bp) == (Phase.SHADOW, 0)
        await desk.wait(10, worker)
        assert desk.phase is Phase.RAMP
        assert decisions(desk) == [("amend", "configuration"), ("climb", "controller")]


@in_loop
async def test_tolerances_that_change_begin_a_new_epoch() -> None:
    async with Desk() as desk:
        generation = desk.controller.snapshot.generation
        await change(desk, model_settings(agreement=AgreementSpec(relative=0.5)))
        assert (desk.route.epoch, desk.route.agreement.relative) == (generation + 1, 0.5)
        assert [row.event for row in desk.store.audit[-2:]] == ["amend", "configure"]
        assert len({row.generation for row in desk.store.audit[-2:]}) == 1


@in_loop
async def test_a_step_that_is_gone_leaves_the_rollout_on_the_next_lower_one() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.RAMP, 5_000, worker)
        await change(desk, model_settings(plan=replace(PLAN, steps=(PLAN.steps[0], PLAN.steps[2]))))
        assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 500)
        await desk.climb_to(Phase.RAMP, 10_000, worker)


@in_loop
async def test_a_share_set_by_hand_is_in_force_at_once_and_held_until_somebody_resumes() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await change(desk, model_settings(percent=2_500))
        assert (desk.phase, desk.route.ramp_bp) == (Phase.PAUSED, 2_500)
        await worker.poll()
        worker.traffic(500)
        await desk.wait(60, worker)
        assert desk.route.ramp_bp == 2_500
        await desk.command(Event.RESUME)
        assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 2_500)
        await desk.climb_to(Phase.RAMP, 5_000, worker)
        await change(desk, model_settings(percent=2_500))
        assert desk.route.ramp_bp == 5_000, "it was set once, and the file says nothing new"


@in_loop
async def test_gates_watch_a_share_that_is_set_by_hand() -> None:
    async with Desk(model_settings(percent=2_500)) as desk:
        assert (desk.phase, desk.route.ramp_bp) == (Phase.PAUSED, 2_500), "from the start on, where the file has it"
        worker = desk.worker()
        await worker.poll()
        worker.traffic(100, failures=60)
        await desk.wait(1, worker)
        assert desk.phase is Phase.ROLLED_BACK


@in_loop
async def test_a_share_no_longer_set_by_hand_is_the_plans_again() -> None:
    async with Desk(model_settings(percent=2_500)) as desk:
        await change(desk, model_settings())
        assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 500)
        assert decisions(desk) == [("set_share", "configuration"), ("resume", "configuration")]


@in_loop
async def test_a_change_while_a_person_is_waited_for() -> None:
    steps = (replace(PLAN.steps[0], approval=True), *PLAN.steps[1:])
    async with Desk(model_settings(plan=replace(PLAN, steps=steps))) as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.AWAITING_APPROVAL, 0, worker)
        await change(desk, model_settings())
        assert desk.phase is Phase.SHADOW
        await desk.wait(1, worker)
        assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 500), "nobody has to be asked any more"


@in_loop
async def test_a_paused_rollout_stays_paused_under_other_gates() -> None:
    async with Desk() as desk:
        await desk.command(Event.PAUSE)
        await change(desk, model_settings(gates=STRICTER))
        assert (desk.phase, desk.route.ramp_bp) == (Phase.PAUSED, 0)
        await desk.command(Event.RESUME)
        assert desk.phase is Phase.SHADOW


@in_loop
async def test_a_restart_under_another_file_is_a_change_as_well() -> None:
    async with Desk() as desk, desk.next(model_settings(gates=STRICTER)) as later:
        assert decisions(later) == [("amend", "configuration")]
        async with later.next() as again:
            assert decisions(again) == [("amend", "configuration")], "once"


@in_loop
async def test_what_cannot_be_taken_up_changes_nothing() -> None:
    async with Desk() as desk:
        before = desk.controller.snapshot
        with pytest.raises(Unroutable):
            await change(desk, model_settings(servers={"42": (Origin("127.0.0.1", 5042),)}, gates=STRICTER))
        desk.store.broken = "disk full"
        with pytest.raises(StoreError):
            await change(desk, model_settings(gates=STRICTER))
        assert desk.controller.snapshot is before
        desk.store.broken = ""
        desk.clock.advance(2)
        await change(desk, model_settings(gates=STRICTER))
        assert desk.controller.snapshot.generation == before.generation + 1
        terms = decode_inputs(desk.store.audit[-1].inputs).command
        assert terms is not None
        assert terms.amendment is not None
        assert terms.amendment.terms.gates == STRICTER


@in_loop
async def test_the_slower_of_two_takes_the_change_up_on_top_of_the_others_commit() -> None:
    async with Desk() as one, one.next() as other:
        await other.command(Event.CLIMB)
        await change(one, model_settings(gates=STRICTER))
        assert (one.phase, one.route.ramp_bp) == (Phase.RAMP, 500)
        assert [event for event, _ in decisions(one)] == ["climb", "amend"]


@in_loop
async def test_a_gate_by_unit_judges_the_first_answers_of_the_workers() -> None:
    """Through the wire: a user who fails all the time is one failure of many users."""
    by_unit = (Gate("users", "error_rate", 0.05, per="unit"),)
    async with Desk(model_settings(gates=by_unit)) as desk:
        worker = desk.worker()
        await worker.poll()
        worker.traffic(400, failures=300)
        firsts = Window()
        for number in range(200):
            firsts.candidate_shadow.observe(500 if number == 0 else 200, 0.01)
        worker.window().firsts = firsts
        await desk.wait(2, worker)
        (result,) = desk.rollout.gates
        assert (result.verdict, result.observations, result.events) == ("PASS", 200, 1)
        assert desk.rollout.lanes["candidate_shadow"].failures == 300, "what is shown is all"
