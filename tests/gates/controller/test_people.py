"""Dialogues with a controller: what people ask for."""

from __future__ import annotations

import pytest

from gates.controller.controller import UnknownModel
from gates.controller.routes import Unroutable
from gates.controller.steering import AlreadyChampion
from gates.phases import Event, IllegalEvent
from gates.ports import RegistryError
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop, model_settings


@in_loop
async def test_pause_and_resume_keep_stage_share_and_evidence() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.RAMP, 500, worker)
        await desk.wait(1, worker)
        worker.traffic(30)
        await desk.wait(3, worker)
        await desk.command(Event.PAUSE)
        paused = desk.rollout
        assert (desk.phase, desk.route.ramp_bp) == (Phase.PAUSED, 500)
        await desk.wait(50, worker)
        await desk.command(Event.RESUME)
        assert desk.phase is Phase.RAMP
        assert (desk.rollout.elapsed, desk.rollout.requests) == (paused.elapsed, 30)


@in_loop
async def test_advance_and_promote_skip_what_the_plan_asks() -> None:
    async with Desk() as desk:
        await desk.command(Event.CLIMB)
        assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 500)
        await desk.command(Event.PROMOTE)
        assert desk.route.champion.version == "42"


@in_loop
async def test_an_illegal_wish_changes_nothing() -> None:
    async with Desk() as desk:
        before = desk.controller.snapshot
        with pytest.raises(IllegalEvent, match="resume is not possible in phase shadow"):
            await desk.command(Event.RESUME)
        assert desk.controller.snapshot is before


@in_loop
async def test_a_model_without_a_rollout_takes_no_wish() -> None:
    async with Desk(model_settings(candidate=None)) as desk:
        with pytest.raises(IllegalEvent, match="possible: start"):
            await desk.command(Event.PAUSE)


@in_loop
async def test_rollouts_are_started_by_people_too() -> None:
    async with Desk(model_settings(candidate=None)) as desk:
        await desk.controller.start_rollout(MODEL, "43", "ada", "try it")
        assert (desk.phase, desk.rollout.candidate, desk.rollout.started_by) == (Phase.SHADOW, "43", "ada")


@in_loop
async def test_what_cannot_be_started_is_refused() -> None:
    async with Desk() as desk:
        with pytest.raises(IllegalEvent):
            await desk.controller.start_rollout(MODEL, "43", "ada", "")
        await desk.command(Event.ROLL_BACK)
        with pytest.raises(AlreadyChampion):
            await desk.controller.start_rollout(MODEL, "40", "ada", "")
        with pytest.raises(Unroutable, match="version 99 has no server"):
            await desk.controller.start_rollout(MODEL, "99", "ada", "")
        with pytest.raises(RegistryError, match="no registry is configured"):
            await desk.controller.start_rollout(MODEL, "@challenger", "ada", "")
        with pytest.raises(UnknownModel, match=MODEL):
            await desk.controller.start_rollout("nobody", "42", "ada", "")
        assert desk.phase is Phase.ROLLED_BACK


@in_loop
async def test_the_same_candidate_may_be_tried_again_on_demand() -> None:
    async with Desk() as desk:
        first = desk.rollout.id
        await desk.command(Event.ROLL_BACK)
        await desk.controller.start_rollout(MODEL, "42", "ada", "fixed its servers")
        assert desk.phase is Phase.SHADOW
        assert desk.rollout.id != first
        assert desk.rollout.candidate_served == 0
