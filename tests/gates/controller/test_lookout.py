"""Dialogues with a controller whose rollout is watched by gates over other things than its windows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gates.adapters.outcomes import SqlOutcomes
from gates.adapters.prometheus import Prometheus
from gates.alerting import conditions
from gates.controller import lookout
from gates.controller.people import NoGo
from gates.controller.replay import replay
from gates.controller.watch import FRESH_SECONDS
from gates.decision import Command
from gates.phases import Event
from gates.promotion.outcomes import Outcome
from gates.promotion.production import Accuracy, Approved, Lift, NoViolations, ProductionGate, ShadowPeriod
from gates.promotion.rule import Bounds
from gates.promotion.series import Series, SeriesGate
from gates.settings import PromotionGates
from gates.verdict import Verdict
from proxy.routing import assign
from proxy.snapshot import Phase
from tests.control import MODEL, PLAN, Desk, Worker, in_loop, model_settings, settings_of
from tests.fakes import FakeMetrics
from tests.prometheus import Exporter, PrometheusServer, require_programs

LOSS = SeriesGate(name="loss", query="loss", bounds=Bounds(most=2.0))


def desk_of(
    metrics: FakeMetrics | None = None,
    live: Sequence[SeriesGate] = (),
    production: Sequence[ProductionGate] = (),
    folder: Path | None = None,
    **changes: Any,
) -> Desk:
    gates = PromotionGates(live=tuple(live), production=tuple(production))
    settings = replace(settings_of(model_settings(promotion=gates, **changes)), prometheus="http://metrics.test")
    outcomes = None if folder is None else SqlOutcomes(f"sqlite:///{folder / 'outcomes.db'}")
    return Desk(settings=settings, outcomes=outcomes, metrics=None if metrics is None else lambda url: metrics)


async def look(desk: Desk) -> None:
    await desk.controller.promotions.look()
    await desk.controller.tick()


async def go_on(desk: Desk, worker: Worker, seconds: int = 30) -> None:
    """Lawful traffic and looks, until the rollout moves or time has passed."""
    here = desk.route
    await worker.poll()
    await desk.wait(1, worker)
    worker.traffic(500)
    for _ in range(seconds):
        await desk.wait(1, worker)
        await look(desk)
        if desk.route != here:
            return


def verdict(desk: Desk, gate: str) -> Verdict:
    return next(result.verdict for result in desk.rollout.gates if result.gate == gate)


def reason(desk: Desk, gate: str) -> str:
    return next(result.reason for result in desk.rollout.gates if result.gate == gate)


def each_as_it_was_made(desk: Desk) -> bool:
    return not any(each.differences for each in replay(row for row in desk.store.audit if row.rollout))


class TestPrometheus:
    @in_loop
    async def test_what_it_passes_climbs_and_stands_in_the_reason_and_the_record(self) -> None:
        async with desk_of(FakeMetrics(loss=1.5), [LOSS]) as desk:
            await go_on(desk, desk.worker())
            assert desk.route.ramp_bp == 500
            assert "loss PASS" in desk.rollout.reason
            assert each_as_it_was_made(desk)

    @pytest.mark.parametrize("paused", [False, True])
    @in_loop
    async def test_what_it_fails_is_rolled_back_in_any_phase_and_named(self, paused: bool) -> None:
        metrics = FakeMetrics(loss=1.5)
        async with desk_of(metrics, [LOSS]) as desk:
            await go_on(desk, desk.worker())
            if paused:
                await desk.command(Event.PAUSE)
            metrics.answers["loss"] = 2.1
            desk.clock.advance(lookout.ASK_EVERY)
            await look(desk)
            assert desk.phase is Phase.ROLLED_BACK
            assert (desk.rollout.ended_by_gate, verdict(desk, "loss")) == ("loss", Verdict.FAIL)
            assert desk.rollout.reason.startswith("gate loss: 2.1: at most 2 asked")
            assert each_as_it_was_made(desk)

    @pytest.mark.parametrize(
        ("metrics", "told"),
        [
            (FakeMetrics(), "no data"),
            (FakeMetrics(loss=float("nan")), "no data"),
            (None, "no Prometheus server is configured"),
        ],
    )
    @in_loop
    async def test_no_data_neither_advances_nor_rolls_back(self, metrics: FakeMetrics | None, told: str) -> None:
        async with desk_of(metrics, [LOSS]) as desk:
            await go_on(desk, desk.worker())
            assert desk.phase is Phase.SHADOW
            assert desk.rollout.waiting_for == ("gate loss",)
            assert (verdict(desk, "loss"), reason(desk, "loss")) == (Verdict.INSUFFICIENT, told)

    @in_loop
    async def test_a_server_in_trouble_says_nothing_and_goes_on_when_it_is_well(self) -> None:
        metrics = FakeMetrics(loss=1.0)
        metrics.trouble = "Prometheus does not answer"
        async with desk_of(metrics, [LOSS]) as desk:
            worker = desk.worker()
            await go_on(desk, worker)
            assert (desk.phase, reason(desk, "loss")) == (Phase.SHADOW, "Prometheus does not answer")
            metrics.trouble = ""
            await go_on(desk, worker)
            assert desk.phase is Phase.RAMP

    @in_loop
    async def test_a_server_that_hangs_holds_up_nobody(self) -> None:
        """The control loop decides meanwhile; a window's gate rolls back."""
        metrics = FakeMetrics(loss=1.0)
        metrics.free.clear()
        async with desk_of(metrics, [LOSS]) as desk:
            worker = desk.worker()
            looking = asyncio.create_task(desk.controller.promotions.look())
            assert await asyncio.to_thread(metrics.called.wait, 10)
            await desk.wait(1, worker)
            worker.traffic(100, failures=60)
            await desk.wait(1, worker)
            assert desk.phase is Phase.ROLLED_BACK
            assert not looking.done()
            metrics.free.set()
            await looking

    @in_loop
    async def test_a_server_that_hangs_is_given_up(self) -> None:
        metrics, patience = FakeMetrics(loss=1.0), lookout.ANSWER_SECONDS
        metrics.free.clear()
        lookout.ANSWER_SECONDS = 0.01
        try:
            async with desk_of(metrics, [LOSS]) as desk:
                await look(desk)
                assert reason(desk, "loss") == "no answer within 0.01 s"
                metrics.free.set()
        finally:
            lookout.ANSWER_SECONDS = patience

    @in_loop
    async def test_a_bug_costs_its_gate_the_word_and_the_control_loop_nothing(self) -> None:
        class Broken(FakeMetrics):
            def series(self, query: str, seconds: float, at: float) -> Sequence[Series]:
                raise ZeroDivisionError

        async with desk_of(Broken(), [LOSS]) as desk:
            await go_on(desk, desk.worker())
            assert (desk.phase, reason(desk, "loss")) == (Phase.SHADOW, "nothing heard yet")

    @in_loop
    async def test_what_was_heard_long_ago_is_no_verdict(self) -> None:
        async with desk_of(FakeMetrics(loss=1.0), [LOSS]) as desk:
            worker = desk.worker()
            await desk.wait(1, worker)
            await look(desk)
            assert verdict(desk, "loss") is Verdict.PASS
            await desk.wait(FRESH_SECONDS + 1, worker)
            assert (verdict(desk, "loss"), reason(desk, "loss")) == (Verdict.INSUFFICIENT, "nothing heard yet")

    @in_loop
    async def test_a_new_stage_is_not_passed_by_what_was_heard_in_the_one_before(self) -> None:
        async with desk_of(FakeMetrics(loss=1.0), [LOSS]) as desk:
            await look(desk)
            await desk.command(Event.CLIMB)
            assert verdict(desk, "loss") is Verdict.INSUFFICIENT
            await look(desk)
            assert verdict(desk, "loss") is Verdict.PASS

    @in_loop
    async def test_it_is_asked_every_few_seconds_however_often_one_looks(self) -> None:
        metrics = FakeMetrics(loss=1.0)
        async with desk_of(metrics, [LOSS]) as desk:
            for _ in range(10):
                await look(desk)
                desk.clock.advance(1.0)
            assert metrics.asked == 2

    @in_loop
    async def test_another_rule_is_asked_anew_and_costs_the_windows_evidence_nothing(self) -> None:
        metrics = FakeMetrics(loss=1.5)
        async with desk_of(metrics, [LOSS]) as desk:
            worker = desk.worker()
            await desk.wait(1, worker)
            worker.traffic(50)
            await desk.wait(1, worker)
            await look(desk)
            stricter = PromotionGates(live=(replace(LOSS, bounds=Bounds(most=1.0)),))
            epoch = desk.route.epoch
            await desk.controller.configure(replace(desk.settings, models=(model_settings(promotion=stricter),)))
            assert desk.rollout.reason == "the configuration changed gate loss (another)"
            assert (desk.route.epoch, desk.rollout.requests) == (epoch, 50)
            assert verdict(desk, "loss") is Verdict.INSUFFICIENT
            await look(desk)
            assert desk.phase is Phase.ROLLED_BACK

    @in_loop
    async def test_an_advisory_one_tells_and_no_more(self) -> None:
        async with desk_of(FakeMetrics(loss=9.0), [replace(LOSS, severity="advisory")]) as desk:
            await go_on(desk, desk.worker())
            assert desk.phase is Phase.RAMP

    @in_loop
    async def test_in_a_dry_run_its_failure_is_advice(self) -> None:
        async with desk_of(FakeMetrics(loss=9.0), [LOSS], plan=replace(PLAN, dry_run=True)) as desk:
            await look(desk)
            assert desk.phase is Phase.SHADOW
            assert desk.rollout.reason.startswith("dry run: would roll back: gate loss: 9")


def test_a_real_prometheus_rolls_back(tmp_path: Path) -> None:
    async def watched(exporter: Exporter, url: str) -> None:
        settings = replace(settings_of(model_settings(promotion=PromotionGates(live=(LOSS,)))), prometheus=url)
        async with Desk(settings=settings, metrics=Prometheus) as desk:
            await until(desk, Verdict.PASS)
            exporter.gauges["loss"] = 3.0
            await until(desk, Verdict.FAIL)
            assert desk.phase is Phase.ROLLED_BACK

    async def until(desk: Desk, expected: Verdict) -> None:
        for _ in range(600):
            desk.clock.advance(lookout.ASK_EVERY)
            desk.clock.now = time.time()
            await look(desk)
            if verdict(desk, "loss") is expected:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(reason(desk, "loss"))

    require_programs()
    with Exporter({"loss": 1.0}, {}, {}) as exporter, PrometheusServer(tmp_path, [exporter.target]) as server:
        in_loop(watched)(exporter, server.url)


def right(desk: Desk, drop: float, requests: int = 4000, name: str = "correct") -> list[Outcome]:
    """Each request's outcome, by the arm that the data plane gave it; the champion is right 19 times of 20."""
    at, draws = desk.clock.wall(), np.random.default_rng(7).random(requests)
    outcomes = []
    for number, draw in enumerate(draws):
        unit = f"request-{number}"
        mine = assign(desk.route, unit.encode()).variant == "candidate"
        outcomes.append(Outcome(unit, unit, name, float(draw < 0.95 - drop * mine), at))
    return outcomes


async def to_half(desk: Desk) -> None:
    """Half of the traffic is the candidate's."""
    for _ in range(2):
        desk.clock.advance(100)
        await desk.command(Event.CLIMB)
    assert desk.route.ramp_bp == 5_000
    desk.clock.advance(100)


async def to_the_bake(desk: Desk) -> None:
    for _ in range(2):
        desk.clock.advance(100)
        await desk.command(Event.CLIMB)
    assert desk.phase is Phase.BAKE


class TestBeforeTheEnd:
    def test_a_shadow_period_holds_the_shadow_and_no_more(self, tmp_path: Path) -> None:
        async def tried() -> None:
            async with desk_of(production=[ShadowPeriod(name="period", least=40.0)], folder=tmp_path) as desk:
                worker = desk.worker()
                await go_on(desk, worker, 25)
                assert (desk.phase, desk.rollout.waiting_for) == (Phase.SHADOW, ("gate period",))
                await go_on(desk, worker, 25)
                assert desk.phase is Phase.RAMP
                await desk.controller.tick()
                assert "period" not in {gate.gate for gate in desk.rollout.gates}

        in_loop(tried)()

    def test_reviews_hold_the_bake_until_they_are_there(self, tmp_path: Path) -> None:
        async def tried() -> None:
            gates = [Approved(name="approvals", reviews=("business",)), NoViolations(name="sla_violations")]
            async with desk_of(production=gates, folder=tmp_path) as desk:
                worker = desk.worker()
                while desk.phase is not Phase.BAKE:
                    await go_on(desk, worker)
                await look(desk)
                assert ("bake_waits", MODEL) not in conditions(desk.controller.queries.status(), ""), "for traffic, too"
                await go_on(desk, worker)
                assert (desk.phase, desk.rollout.waiting_for) == (Phase.BAKE, ("gate approvals",))
                assert conditions(desk.controller.queries.status(), "") == {
                    ("bake_waits", MODEL): "gate approvals: no review yet of business"
                }
                await desk.controller.promotions.approve(MODEL, "42", "business", "ada", "")
                await go_on(desk, worker, 2)
                assert desk.phase is Phase.PROMOTED
                assert "approvals PASS, sla_violations PASS" in desk.rollout.reason
                assert each_as_it_was_made(desk)

        in_loop(tried)()

    def test_a_broken_limit_keeps_a_candidate_from_its_promotion_and_costs_no_more(self, tmp_path: Path) -> None:
        async def tried() -> None:
            plan = replace(PLAN, on_fail="step_down")
            async with desk_of(production=[NoViolations(name="sla")], folder=tmp_path, plan=plan) as desk:
                worker = desk.worker()
                await desk.climb_to(Phase.RAMP, 5_000, worker)
                await worker.poll()
                worker.traffic(100, failures=60)
                await desk.wait(1, worker)
                assert desk.route.ramp_bp == 500
                while desk.phase is not Phase.BAKE:
                    await go_on(desk, worker)
                await go_on(desk, worker)
                assert (desk.phase, verdict(desk, "sla")) == (Phase.BAKE, Verdict.FAIL)
                assert desk.rollout.waiting_for == ("gate sla",)
                assert ("gate_failed", MODEL) in conditions(desk.controller.queries.status(), "")

        in_loop(tried)()

    @pytest.mark.parametrize("gate", [Accuracy(name="g"), Lift(name="g", outcome="correct")])
    def test_without_outcomes_a_stage_is_passed_but_not_the_bake(self, tmp_path: Path, gate: ProductionGate) -> None:
        async def tried() -> None:
            async with desk_of(production=[gate], folder=tmp_path) as desk:
                worker = desk.worker()
                while desk.phase is not Phase.BAKE:
                    await go_on(desk, worker)
                await go_on(desk, worker)
                assert (desk.phase, verdict(desk, "g")) == (Phase.BAKE, Verdict.INSUFFICIENT)
                assert "no outcome 'correct'" in reason(desk, "g")

        in_loop(tried)()

    def test_a_lift_that_is_beyond_doubt_below_its_limit_rolls_back(self, tmp_path: Path) -> None:
        async def tried() -> None:
            async with desk_of(production=[Lift(name="lift", outcome="sold")], folder=tmp_path) as desk:
                await to_half(desk)
                await desk.controller.promotions.post(MODEL, right(desk, 0.2, name="sold"))
                await look(desk)
                assert (desk.phase, desk.rollout.ended_by_gate) == (Phase.ROLLED_BACK, "lift")
                assert each_as_it_was_made(desk)

        in_loop(tried)()

    def test_labels_of_the_ramp_that_come_in_the_bake_are_judged(self, tmp_path: Path) -> None:
        async def tried() -> None:
            async with desk_of(production=[Accuracy(name="accuracy")], folder=tmp_path) as desk:
                await to_half(desk)
                late = right(desk, 0.3)
                await to_the_bake(desk)
                await look(desk)
                await desk.controller.promotions.post(MODEL, late)
                await look(desk)
                assert (desk.phase, desk.rollout.ended_by_gate) == (Phase.ROLLED_BACK, "accuracy")

        in_loop(tried)()

    def test_a_promotion_by_hand_is_held_to_prometheus_too(self, tmp_path: Path) -> None:
        async def tried() -> None:
            metrics = FakeMetrics(loss=9.0)
            async with desk_of(metrics, production=[LOSS], folder=tmp_path) as desk:
                await to_half(desk)
                promote = Command(Event.PROMOTE, "ada", "in a hurry")
                with pytest.raises(NoGo, match="loss: 9: at most 2 asked"):
                    await desk.controller.promotions.promote(MODEL, promote, override=False)
                metrics.answers["loss"] = 1.0
                await desk.controller.promotions.promote(MODEL, promote, override=False)
                assert desk.phase is Phase.PROMOTED

        in_loop(tried)()


class TestAfterThePromotion:
    """Labels may come weeks later."""

    async def promoted(self, desk: Desk) -> list[Outcome]:
        """By hand; what came of the answers of the ramp is known later."""
        await to_half(desk)
        late = right(desk, 0.3)
        desk.clock.advance(100)
        await desk.command(Event.PROMOTE, reason="all well")
        await look(desk)
        desk.clock.advance(20 * 86_400)
        return late

    def serving(self, desk: Desk) -> str:
        return desk.controller.queries.model_status(MODEL).champion

    @pytest.mark.parametrize("gate", [Accuracy(name="g"), Lift(name="g", outcome="correct")])
    def test_a_drop_lets_the_version_before_serve_again(self, tmp_path: Path, gate: ProductionGate) -> None:
        async def tried() -> None:
            async with desk_of(production=[gate], folder=tmp_path) as desk:
                late = await self.promoted(desk)
                assert self.serving(desk) == "42"
                await desk.controller.promotions.post(MODEL, late)
                await look(desk)
                assert self.serving(desk) == "40"
                newest = desk.store.audit[-1]
                assert (newest.event, newest.by) == ("revert", "gate g")
                assert "champion 42 -> 40: gate g, by outcomes since the promotion" in newest.reason
                generation = desk.controller.snapshot.generation
                await desk.controller.promotions.post(MODEL, right(desk, 0.3, name="another"))
                await look(desk)
                assert desk.controller.snapshot.generation == generation

        in_loop(tried)()

    def test_what_a_person_has_decided_since_stays(self, tmp_path: Path) -> None:
        async def tried() -> None:
            async with desk_of(production=[Accuracy(name="accuracy")], folder=tmp_path) as desk:
                late = await self.promoted(desk)
                await desk.controller.revert(MODEL, "41", "ada", "to be sure")
                await desk.controller.revert(MODEL, "42", "ada", "no, this one")
                await desk.controller.promotions.post(MODEL, late)
                await look(desk)
                assert self.serving(desk) == "42"

        in_loop(tried)()

    def test_where_the_version_before_has_no_server_all_stays_and_is_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def tried() -> None:
            async with desk_of(production=[Accuracy(name="accuracy")], folder=tmp_path) as desk:
                late = await self.promoted(desk)
                (model,) = desk.settings.models
                left = {version: servers for version, servers in model.servers.items() if version != "40"}
                moved = replace(model, servers=left, champion="42", candidate=None)
                await desk.controller.configure(replace(desk.settings, models=(moved,)))
                await desk.controller.promotions.post(MODEL, late)
                await look(desk)
                assert self.serving(desk) == "42"
                assert "should give way to 40" in caplog.text

        in_loop(tried)()

    def test_a_small_drop_and_advice_change_nothing(self, tmp_path: Path) -> None:
        async def tried() -> None:
            gates = [Accuracy(name="wide", drop=0.5), Accuracy(name="advice", severity="advisory")]
            async with desk_of(production=gates, folder=tmp_path) as desk:
                late = await self.promoted(desk)
                await desk.controller.promotions.post(MODEL, late)
                await look(desk)
                assert self.serving(desk) == "42"

        in_loop(tried)()


@in_loop
async def test_a_gate_that_fails_and_ends_nothing_is_told_of() -> None:
    """People would look for what keeps the candidate from its promotion."""
    async with desk_of(FakeMetrics(loss=9.0), [replace(LOSS, severity="advisory")]) as desk:
        worker = desk.worker()
        await desk.wait(1, worker)
        assert conditions(desk.controller.queries.status(), "") == {}
        await look(desk)
        assert conditions(desk.controller.queries.status(), "") == {
            ("gate_failed", MODEL): "gate loss: 9: at most 2 asked",
        }
