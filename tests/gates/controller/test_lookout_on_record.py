"""What the lookout reads on record before the end of a rollout: its time in shadow, reviews, violations, outcomes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gates.alerting import conditions
from gates.controller.people import NoGo
from gates.decision import Command
from gates.phases import Event
from gates.plan import Deadline
from gates.promotion.production import Accuracy, Approved, Lift, NoViolations, ProductionGate, ShadowPeriod
from gates.verdict import Verdict
from proxy.snapshot import Phase
from tests.control import MODEL, PLAN, in_loop
from tests.fakes import FakeMetrics
from tests.gates.controller.outside import (
    LOSS,
    desk_of,
    each_as_it_was_made,
    go_on,
    go_on_to_the_bake,
    look,
    reason,
    right,
    to_half,
    to_the_bake,
    verdict,
)


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
            gates = (Approved(name="approvals", reviews=("business",)), NoViolations(name="sla_violations"))
            async with desk_of(production=gates, folder=tmp_path) as desk:
                worker = desk.worker()
                await go_on_to_the_bake(desk, worker)
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
                await go_on_to_the_bake(desk, worker)
                await go_on(desk, worker)
                assert (desk.phase, verdict(desk, "sla")) == (Phase.BAKE, Verdict.FAIL)
                assert desk.rollout.waiting_for == ("gate sla",)
                assert ("gate_failed", MODEL) in conditions(desk.controller.queries.status(), "")

        in_loop(tried)()

    def test_a_bake_that_is_late_has_broken_a_limit_from_then_on(self, tmp_path: Path) -> None:
        async def tried() -> None:
            plan = replace(PLAN, deadline=Deadline(60.0))
            async with desk_of(production=[NoViolations(name="sla")], folder=tmp_path, plan=plan) as desk:
                worker = desk.worker()
                while desk.phase is not Phase.BAKE:
                    await go_on(desk, worker)
                await worker.poll()
                await look(desk)
                assert verdict(desk, "sla") is Verdict.PASS
                for _ in range(70):
                    await desk.wait(1, worker)
                    await look(desk)
                assert (desk.rollout.overdue, verdict(desk, "sla")) == (True, Verdict.FAIL)
                await go_on(desk, worker)
                assert desk.phase is Phase.BAKE, "as a promotion by hand would be refused"

        in_loop(tried)()

    @pytest.mark.parametrize("gate", [Accuracy(name="g"), Lift(name="g", outcome="correct")])
    def test_without_outcomes_a_stage_is_passed_but_not_the_bake(self, tmp_path: Path, gate: ProductionGate) -> None:
        async def tried() -> None:
            async with desk_of(production=[gate], folder=tmp_path) as desk:
                worker = desk.worker()
                await go_on_to_the_bake(desk, worker)
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
