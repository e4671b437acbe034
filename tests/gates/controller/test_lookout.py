"""Dialogues with a controller whose rollout is watched by what Prometheus sees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gates.adapters.prometheus import Prometheus
from gates.alerting import conditions
from gates.controller import lookout
from gates.controller.watch import FRESH_SECONDS
from gates.phases import Event
from gates.promotion.rule import Bounds
from gates.promotion.series import Series
from gates.settings import PromotionGates
from gates.verdict import Verdict
from proxy.snapshot import Phase
from tests.control import MODEL, PLAN, Desk, in_loop, model_settings, settings_of
from tests.fakes import FakeMetrics
from tests.gates.controller.outside import (
    LOSS,
    desk_of,
    each_as_it_was_made,
    go_on,
    look,
    reason,
    verdict,
)
from tests.prometheus import Exporter, PrometheusServer, require_programs
from tests.wire import PATIENCE


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
            assert await asyncio.to_thread(metrics.called.wait, PATIENCE)
            await desk.wait(1, worker)
            worker.traffic(100, failures=60)
            await desk.wait(1, worker)
            assert desk.phase is Phase.ROLLED_BACK
            assert not looking.done()
            metrics.free.set()
            await looking

    @in_loop
    async def test_a_server_that_hangs_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        metrics = FakeMetrics(loss=1.0)
        metrics.free.clear()
        monkeypatch.setattr(lookout, "ANSWER_SECONDS", 0.01)
        async with desk_of(metrics, [LOSS]) as desk:
            await look(desk)
            assert reason(desk, "loss") == "no answer within 0.01 s"
            metrics.free.set()

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
