"""Dialogues with a controller: windows are pushed, time passes, it ticks, and one looks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gates.checks import Gate
from gates.controller.controller import UnknownModel
from gates.controller.record import Inputs, decode_inputs
from gates.controller.routes import Unroutable
from gates.controller.steering import AlreadyChampion
from gates.phases import Event, IllegalEvent
from gates.ports import RegistryError, StoreError
from proxy import snapshot as snapshots
from proxy.snapshot import Origin, Phase
from tests.control import MODEL, PLAN, Desk, in_loop, model_settings
from tests.fakes import FakeRegistry


class TestClimb:
    @in_loop
    async def test_the_first_start_puts_the_candidate_into_shadow(self) -> None:
        async with Desk() as desk:
            assert desk.phase is Phase.SHADOW
            assert desk.route.champion.version == "40"
            assert desk.route.candidate is not None
            assert desk.route.candidate.version == "42"
            assert [row.event for row in desk.store.audit] == ["configure", "start"]
            assert desk.store.snapshot == desk.controller.snapshot

    @in_loop
    async def test_a_good_candidate_climbs_every_stage_and_is_promoted(self) -> None:
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
    async def test_each_stage_starts_without_evidence(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.pass_stage(worker)
            assert desk.phase is Phase.RAMP
            assert (desk.rollout.requests, desk.rollout.elapsed) == (0, 0.0)
            assert all(gate.observations == 0 for gate in desk.rollout.gates)

    @in_loop
    async def test_what_a_stage_has_shown_late_counts_in_that_stage(self) -> None:
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
    async def test_no_stage_is_passed_without_a_request(self) -> None:
        hasty = replace(PLAN, shadow=replace(PLAN.shadow, min_duration=0, min_requests=0))
        async with Desk(model_settings(plan=hasty, gates=())) as desk:
            worker = desk.worker()
            await desk.wait(60, worker)
            assert desk.rollout.position == 0
            worker.traffic(1)
            await desk.wait(1, worker)
            assert desk.rollout.position == 1

    @in_loop
    async def test_a_step_that_wants_approval_waits_for_a_person(self) -> None:
        steps = (PLAN.steps[0], replace(PLAN.steps[1], approval=True), PLAN.steps[2])
        async with Desk(model_settings(plan=replace(PLAN, steps=steps))) as desk:
            worker = desk.worker()
            await desk.climb_to(Phase.AWAITING_APPROVAL, 500, worker)
            await desk.wait(100, worker)
            assert (desk.phase, desk.route.ramp_bp) == (Phase.AWAITING_APPROVAL, 500)
            await desk.command(Event.CLIMB)
            assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 5_000)

    @in_loop
    async def test_models_do_not_wait_for_each_other(self) -> None:
        async with Desk(model_settings(), model_settings("ranker", candidate=None)) as desk:
            worker = desk.worker()
            await desk.pass_stage(worker)
            assert desk.phase is Phase.RAMP
            assert desk.controller.snapshot.by_model["ranker"].phase is Phase.IDLE

    @in_loop
    async def test_windows_of_many_workers_count_together(self) -> None:
        async with Desk() as desk:
            workers = [desk.worker(f"w{number}") for number in range(3)]
            await desk.wait(1, *workers)
            for worker in workers:
                worker.traffic(40)
            await desk.wait(2, *workers)
            assert desk.rollout.requests == 120


class TestRollback:
    @in_loop
    async def test_a_bad_candidate_loses_its_traffic_at_the_tick_that_sees_it(self) -> None:
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
    async def test_gates_watch_while_people_are_waited_for(self, phase: Phase) -> None:
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
    async def test_a_persons_rollback_needs_no_tick(self) -> None:
        async with Desk() as desk:
            await desk.command(Event.ROLL_BACK, "ada", "smells of smoke")
            assert desk.phase is Phase.ROLLED_BACK
            assert (desk.rollout.ended_by_gate, desk.rollout.reason) == ("", "smells of smoke")
            assert desk.store.audit[-1].by == "ada"

    @in_loop
    async def test_a_gates_rollback_comes_before_a_persons_wish(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await worker.poll()
            worker.traffic(100, failures=100)
            worker.push()
            await desk.command(Event.PROMOTE)
            assert desk.phase is Phase.ROLLED_BACK

    @in_loop
    async def test_advisory_gates_roll_nothing_back(self) -> None:
        gates = (Gate("errors", "error_rate", 0.05, severity="advisory"),)
        async with Desk(model_settings(gates=gates)) as desk:
            worker = desk.worker()
            await worker.poll()
            worker.traffic(100, failures=100)
            await desk.wait(1, worker)
            assert desk.phase is Phase.SHADOW
            assert desk.rollout.gates[0].verdict == "FAIL"

    @in_loop
    async def test_what_was_seen_last_stays_on_show(self) -> None:
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


class TestPeople:
    @in_loop
    async def test_pause_and_resume_keep_stage_share_and_evidence(self) -> None:
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
    async def test_advance_and_promote_skip_what_the_plan_asks(self) -> None:
        async with Desk() as desk:
            await desk.command(Event.CLIMB)
            assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 500)
            await desk.command(Event.PROMOTE)
            assert desk.route.champion.version == "42"

    @in_loop
    async def test_an_illegal_wish_changes_nothing(self) -> None:
        async with Desk() as desk:
            before = desk.controller.snapshot
            with pytest.raises(IllegalEvent, match="resume is not possible in phase shadow"):
                await desk.command(Event.RESUME)
            assert desk.controller.snapshot is before

    @in_loop
    async def test_a_model_without_a_rollout_takes_no_wish(self) -> None:
        async with Desk(model_settings(candidate=None)) as desk:
            with pytest.raises(IllegalEvent, match="possible: start"):
                await desk.command(Event.PAUSE)

    @in_loop
    async def test_rollouts_are_started_by_people_too(self) -> None:
        async with Desk(model_settings(candidate=None)) as desk:
            await desk.controller.start_rollout(MODEL, "43", "ada", "try it")
            assert (desk.phase, desk.rollout.candidate, desk.rollout.started_by) == (Phase.SHADOW, "43", "ada")

    @in_loop
    async def test_what_cannot_be_started_is_refused(self) -> None:
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
    async def test_the_same_candidate_may_be_tried_again_on_demand(self) -> None:
        async with Desk() as desk:
            first = desk.rollout.id
            await desk.command(Event.ROLL_BACK)
            await desk.controller.start_rollout(MODEL, "42", "ada", "fixed its servers")
            assert desk.phase is Phase.SHADOW
            assert desk.rollout.id != first
            assert desk.rollout.candidate_served == 0


class TestClock:
    @in_loop
    async def test_a_stage_runs_only_while_a_worker_lives(self) -> None:
        async with Desk() as desk:
            await desk.wait(60)
            assert desk.rollout.elapsed == 0
            worker = desk.worker()
            await desk.wait(6, worker)
            assert desk.rollout.elapsed == 5
            await desk.wait(60)
            assert desk.rollout.elapsed == pytest.approx(8, abs=1)

    @in_loop
    async def test_one_live_worker_on_an_older_generation_holds_the_clock(self) -> None:
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
    async def test_the_wall_clock_may_jump(self, jump: float) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.wait(4, worker)
            desk.clock.now += jump
            await desk.wait(3, worker)
            assert desk.rollout.elapsed == 6
            assert desk.phase is Phase.SHADOW

    @in_loop
    async def test_a_controller_that_was_stopped_counts_no_time_for_it(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.wait(3, worker)
            desk.clock.advance(3600)
            await desk.wait(1, worker)
            assert desk.rollout.elapsed <= 5


class TestRestart:
    @in_loop
    async def test_a_promotion_survives(self) -> None:
        async with Desk() as desk:
            await desk.command(Event.PROMOTE)
            async with desk.next() as later:
                assert later.route.champion.version == "42"
                assert later.controller.snapshot == desk.controller.snapshot
                assert later.phase is Phase.PROMOTED

    @in_loop
    async def test_a_candidate_that_was_rolled_back_is_not_tried_again(self) -> None:
        async with Desk() as desk:
            await desk.command(Event.ROLL_BACK)
            await desk.controller.start_rollout(MODEL, "43", "ada", "")
            await desk.command(Event.ROLL_BACK)
            async with desk.next() as later:
                assert later.phase is Phase.ROLLED_BACK
                assert later.rollout.candidate == "43"

    @in_loop
    async def test_the_end_of_the_process_loses_what_was_seen_since_the_last_keep(self) -> None:
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
    async def test_what_was_served_in_earlier_stages_is_remembered(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.climb_to(Phase.RAMP, 10_000, worker)
            assert desk.rollout.candidate_served == 1000
            await desk.controller.keep()
            async with desk.next() as later:
                assert later.rollout.candidate_served == 1000

    @in_loop
    async def test_a_stage_never_inherits_the_clock_of_the_one_before(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.wait(8, worker)
            await desk.controller.keep()
            await desk.command(Event.CLIMB)
            async with desk.next() as later:
                assert later.rollout.elapsed == 0

    @in_loop
    async def test_nothing_is_committed_where_nothing_changed(self) -> None:
        async with Desk() as desk:
            before = len(desk.store.audit)
            async with desk.next():
                assert len(desk.store.audit) == before

    @in_loop
    async def test_only_what_is_kept_of_a_rollout_stays_in_the_store(self) -> None:
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


class TestSettings:
    @in_loop
    async def test_servers_that_moved_are_a_new_generation(self) -> None:
        moved = {"40": (Origin("127.0.0.1", 7040),), "42": (Origin("127.0.0.1", 7042),)}
        async with Desk() as desk, desk.next(model_settings(servers=moved)) as later:
            assert later.controller.snapshot.generation == desk.controller.snapshot.generation + 1
            assert later.route.champion.origins == moved["40"]
            assert later.phase is Phase.SHADOW
            assert later.store.audit[-1].reason == "changed: champion, candidate"

    @in_loop
    async def test_a_new_champion_ends_the_rollout_and_begins_another(self) -> None:
        async with Desk() as desk, desk.next(model_settings(champion="41")) as later:
            assert later.route.champion.version == "41"
            assert later.rollout.id != desk.rollout.id
            events = [(row.event, row.reason) for row in later.store.audit]
            assert ("roll_back", "version 41 was configured as the champion") in events
            assert ("configure", "champion 40 -> 41") in events
            assert later.phase is Phase.SHADOW

    @in_loop
    async def test_a_candidate_that_is_configured_as_the_champion_is_promoted(self) -> None:
        async with Desk() as desk, desk.next(model_settings(champion="42", candidate=None)) as later:
            assert later.route.champion.version == "42"
            assert later.phase is Phase.PROMOTED
            assert [row.by for row in later.store.audit][-2:] == ["configuration", "configuration"]
            assert desk.rollout.id == later.rollout.id

    @in_loop
    async def test_the_file_may_follow_a_promotion(self) -> None:
        async with Desk() as desk:
            await desk.command(Event.PROMOTE)
            async with desk.next(model_settings(champion="42", candidate=None)) as later:
                assert later.route == desk.route
                assert later.store.servings[MODEL].configured == "42"

    @in_loop
    async def test_a_model_that_is_gone_takes_its_rollout_along(self) -> None:
        async with Desk() as desk, desk.next(model_settings("ranker")) as later:
            assert set(later.controller.snapshot.by_model) == {"ranker"}
            assert later.store.rollouts["r1"].phase is Phase.ROLLED_BACK
            assert MODEL not in later.store.servings
            async with desk.next() as back:
                assert back.phase is Phase.IDLE
                assert back.route.champion.version == "40"

    @in_loop
    async def test_a_candidate_without_servers_cannot_go_on(self) -> None:
        only = {"40": (Origin("127.0.0.1", 5040),)}
        async with Desk() as desk, desk.next(model_settings(servers=only, candidate=None)) as later:
            assert later.phase is Phase.ROLLED_BACK
            assert desk.phase is Phase.SHADOW

    @in_loop
    async def test_a_champion_without_servers_is_refused(self) -> None:
        only = {"40": (Origin("127.0.0.1", 5040),)}
        async with Desk() as desk:
            await desk.command(Event.PROMOTE)
            with pytest.raises(Unroutable, match=r"add it under models\.fraud_detector\.servers"):
                await desk.next(model_settings(servers=only, candidate=None)).controller.start()

    @in_loop
    async def test_a_rollout_is_judged_by_the_terms_it_began_with(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.climb_to(Phase.RAMP, 5_000, worker)
            short = replace(PLAN, steps=PLAN.steps[-1:])
            async with desk.next(model_settings(plan=short, gates=())) as later:
                assert (later.phase, later.route.ramp_bp) == (Phase.RAMP, 5_000)
                assert len(later.rollout.stages) == 5
                await later.command(Event.ROLL_BACK)
                await later.controller.start_rollout(MODEL, "43", "ada", "")
                assert len(later.rollout.stages) == 3


class TestAliases:
    ALIASED = model_settings(champion="@champion", candidate="@challenger")

    @in_loop
    async def test_aliases_are_resolved_once_and_pinned(self) -> None:
        registry = FakeRegistry({(MODEL, "@champion"): "40", (MODEL, "@challenger"): "42"})
        async with Desk(self.ALIASED, registry=registry) as desk:
            assert MODEL not in desk.controller.snapshot.by_model
            assert await desk.controller.resolve()
            assert desk.rollout.candidate == "42"
            assert sorted(registry.asked) == [(MODEL, "@challenger"), (MODEL, "@champion")]
            registry.aliases[MODEL, "@champion"] = "41"
            assert await desk.controller.resolve()
            async with desk.next() as later:
                assert await later.controller.resolve()
                assert later.route.champion.version == "40"
            assert len(registry.asked) == 2

    @in_loop
    async def test_versions_are_never_asked_for(self) -> None:
        registry = FakeRegistry()
        async with Desk(registry=registry) as desk:
            assert await desk.controller.resolve()
            assert not registry.asked

    @in_loop
    async def test_a_registry_that_is_away_holds_up_its_own_model_alone(self) -> None:
        registry = FakeRegistry({(MODEL, "@champion"): "40"}, trouble=lambda act, model: "away")
        ranker = model_settings("ranker")
        async with Desk(model_settings(champion="@champion", candidate=None), ranker, registry=registry) as desk:
            assert not await desk.controller.resolve()
            assert desk.controller.snapshot.by_model["ranker"].phase is Phase.SHADOW
            with pytest.raises(RegistryError, match="has not told yet"):
                desk.controller.model_status(MODEL)
            registry.trouble = lambda act, model: ""
            assert await desk.controller.resolve()
            assert desk.route.champion.version == "40"


class TestStoreGone:
    @in_loop
    async def test_a_rollback_takes_effect_and_is_recorded_later(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.wait(2, worker)
            desk.store.broken = "disk full"
            worker.traffic(100, failures=100)
            await desk.wait(1, worker)
            assert desk.phase is Phase.ROLLED_BACK
            assert await worker.poll()
            assert worker.snapshot.by_model[MODEL].candidate is None
            assert desk.controller.status().store_trouble == "disk full"
            assert desk.store.audit[-1].event == "start"
            desk.store.broken = ""
            await desk.wait(2, worker)
            assert desk.store.audit[-1].event == "roll_back"
            assert desk.store.snapshot == desk.controller.snapshot
            assert desk.controller.status().store_trouble == ""

    @in_loop
    async def test_a_persons_rollback_needs_no_store_and_all_else_does(self) -> None:
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
    async def test_a_climb_waits_and_serving_goes_on(self) -> None:
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
    async def test_what_could_not_be_kept_is_kept_the_next_time(self) -> None:
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
    async def test_a_store_that_hangs_holds_no_rollback_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gates.controller.book.STORE_SECONDS", 0.05)
        async with Desk() as desk:
            desk.store.gate.clear()
            await desk.command(Event.ROLL_BACK)
            assert desk.phase is Phase.ROLLED_BACK
            with pytest.raises(StoreError, match="does not answer"):
                await desk.controller.start_rollout(MODEL, "43", "ada", "")
            desk.store.gate.set()
            await asyncio.sleep(0.05)
            await desk.wait(2)
            assert desk.store.audit[-1].event == "roll_back"
            assert desk.store.snapshot == desk.controller.snapshot


class TestTwoControllers:
    @in_loop
    async def test_the_slower_one_goes_on_from_the_stores_truth(self) -> None:
        async with Desk() as one, one.next() as other:
            await other.command(Event.CLIMB)
            await one.command(Event.CLIMB)
            assert (one.phase, one.route.ramp_bp) == (Phase.RAMP, 5_000)
            assert one.controller.snapshot == one.store.snapshot

    @in_loop
    async def test_a_rollback_by_the_other_is_seen_without_a_commit_of_ones_own(self) -> None:
        async with Desk() as one, one.next() as other:
            await other.command(Event.ROLL_BACK)
            await one.controller.keep()
            assert one.phase is Phase.ROLLED_BACK

    @in_loop
    async def test_a_rollback_outlives_the_others_climb(self) -> None:
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
    async def test_a_rollout_that_the_other_ended_stays_ended(self) -> None:
        async with Desk() as one, one.next() as other:
            one.store.broken = "gone"
            await one.command(Event.ROLL_BACK, "ada", "smoke")
            one.store.broken = ""
            await other.command(Event.PROMOTE)
            await one.wait(2)
            assert one.route.champion.version == "42"
            assert one.store.snapshot == one.controller.snapshot


class TestReplay:
    @in_loop
    async def test_every_decision_follows_from_its_recorded_inputs(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.climb_to(Phase.RAMP, 500, worker)
            await desk.command(Event.PAUSE, "ada", "lunch")
            await desk.command(Event.RESUME)
            await worker.poll()
            worker.traffic(200, failures=200)
            await desk.wait(1, worker)
            rows = [row for row in await desk.controller.events(MODEL, 100) if row.event != "configure"]
            assert [row.event for row in rows] == ["roll_back", "resume", "pause", "climb", "start"]
            for row in rows:
                decision = decode_inputs(row.inputs).decide()
                assert decision is not None
                assert (decision.event, decision.by, decision.reason) == (row.event, row.by, row.reason)
                after = decision.rollout
                assert (after.phase, after.position, after.id) == (row.phase, row.position, row.rollout)
            last = decode_inputs(rows[0].inputs).decide()
            assert last is not None
            assert last.rollout == desk.store.rollouts["r1"]

    @in_loop
    async def test_a_decision_can_be_made_again_under_other_terms(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await desk.pass_stage(worker)
            row = (await desk.controller.events(MODEL, 1))[0]
            inputs = decode_inputs(row.inputs)
            patient = replace(inputs.rollout.terms, plan=replace(PLAN, shadow=replace(PLAN.shadow, min_requests=501)))
            assert Inputs(replace(inputs.rollout, terms=patient), inputs.observation, None, 9).decide() is None


class TestPolls:
    @in_loop
    async def test_a_poll_is_held_until_something_changes(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await worker.poll()
            held = asyncio.ensure_future(desk.controller.poll("w1", worker.snapshot.generation, 20))
            await asyncio.sleep(0)
            assert not held.done()
            await desk.command(Event.CLIMB)
            raw = await held
            assert raw is not None
            assert snapshots.decode(raw) == desk.controller.snapshot

    @in_loop
    async def test_a_poll_acknowledges_what_was_sent_from_here_alone(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            worker.snapshot = replace(desk.controller.snapshot, routes=())
            assert worker.snapshot.generation == desk.controller.snapshot.generation
            assert await worker.poll()
            assert worker.snapshot == desk.controller.snapshot
            assert desk.controller.status().workers == {"w1": desk.controller.snapshot.generation}

    @in_loop
    async def test_workers_are_listed_while_they_live(self) -> None:
        async with Desk() as desk:
            desk.worker("mute").push()
            assert desk.controller.status().workers == {"mute": 0}
            desk.clock.advance(3.5)
            assert desk.controller.status().workers == {}

    @in_loop
    async def test_nobody_waits_for_a_controller_that_ends(self) -> None:
        async with Desk() as desk:
            worker = desk.worker()
            await worker.poll()
            held = asyncio.ensure_future(worker.poll(timeout=20))
            await asyncio.sleep(0)
            desk.controller.release()
            assert not await held


class TestLoops:
    @in_loop
    async def test_a_push_is_judged_before_the_next_tick_is_due(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gates.controller.controller.TICK_EVERY", 60)
        async with Desk() as desk:
            loops = asyncio.ensure_future(desk.controller.run())
            worker = desk.worker()
            await worker.poll()
            await asyncio.sleep(0.1)
            worker.traffic(100, failures=100)
            worker.push()
            assert await desk.controller.poll("w1", worker.snapshot.generation, 10) is not None
            assert desk.phase is Phase.ROLLED_BACK
            loops.cancel()
            with pytest.raises(asyncio.CancelledError):
                await loops

    @in_loop
    async def test_windows_are_kept_as_time_goes_by(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gates.controller.controller.KEEP_EVERY", 0.01)
        async with Desk() as desk:
            loops = asyncio.ensure_future(desk.controller.run())
            worker = desk.worker()
            await worker.poll()
            worker.traffic(1)
            worker.push()
            for _ in range(1000):
                if desk.store.windows:
                    break
                await asyncio.sleep(0.01)
            assert desk.store.windows
            loops.cancel()
            with pytest.raises(asyncio.CancelledError):
                await loops
