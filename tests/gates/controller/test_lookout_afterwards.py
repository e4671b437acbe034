"""What the lookout goes on judging after a promotion, by labels that come late."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gates.alerting import conditions
from gates.phases import Event
from gates.promotion.outcomes import Outcome
from gates.promotion.production import Accuracy, Lift, ProductionGate
from tests.control import MODEL, Desk, in_loop
from tests.gates.controller.outside import (
    desk_of,
    look,
    right,
    to_half,
)


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

    def test_what_the_store_could_not_take_is_done_once_it_is_back(self, tmp_path: Path) -> None:
        """No label may come any more: a version that proved to be the worse serves until somebody looks."""

        async def tried() -> None:
            async with desk_of(production=[Accuracy(name="accuracy")], folder=tmp_path) as desk:
                late = await self.promoted(desk)
                await desk.controller.promotions.post(MODEL, late)
                desk.store.broken = "gone"
                await look(desk)
                assert self.serving(desk) == "42"
                desk.store.broken = ""
                await look(desk)
                assert self.serving(desk) == "40"

        in_loop(tried)()

    def stuck(self, desk: Desk) -> str:
        rollout = desk.controller.queries.model_status(MODEL).rollout
        assert rollout is not None
        return rollout.stuck

    def test_where_the_version_before_has_no_server_all_stays_and_somebody_is_called(
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
                for _ in range(3):
                    await look(desk)
                assert self.serving(desk) == "42"
                assert caplog.text.count("should give way to 40") == 1
                assert "should give way to 40 (gate accuracy, by outcomes since the promotion: " in self.stuck(desk)
                assert conditions(desk.controller.queries.status(), "")["stuck", MODEL] == self.stuck(desk)
                again = replace(moved, servers=model.servers)
                await desk.controller.configure(replace(desk.settings, models=(again,)))
                await look(desk)
                assert self.serving(desk) == "40"
                await look(desk)
                assert self.stuck(desk) == ""

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
