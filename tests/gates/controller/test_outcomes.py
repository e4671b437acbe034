"""Outcomes for 100 000 requests: late, twice, in any order; joined once each, and judged live."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gates.adapters.outcomes import SqlOutcomes
from gates.phases import Event
from gates.promotion.outcomes import Outcome
from gates.promotion.production import Accuracy
from gates.settings import PromotionGates
from proxy.routing import assign
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop, model_settings

REQUESTS = 100_000
GATES = PromotionGates(production=(Accuracy(name="accuracy"),))


def desk(folder: Path) -> Desk:
    model = replace(model_settings(), promotion=GATES, candidate=None)
    return Desk(model, outcomes=SqlOutcomes(f"sqlite:///{folder / 'outcomes.db'}"))


async def on_the_ramp(started: Desk) -> None:
    """Half of the traffic is the candidate's."""
    await started.controller.start_rollout(MODEL, "42", "ada", "trial")
    for _ in range(2):
        started.clock.advance(100)
        await started.command(Event.CLIMB)
    assert started.route.ramp_bp == 5_000
    started.clock.advance(100)


def answers(started: Desk, drop: float, requests: int) -> pd.DataFrame:
    """Each request, the arm that the data plane gave it, and whether its prediction turned out right."""
    ids = [f"request-{number}" for number in range(requests)]
    arms = [assign(started.route, name.encode()).variant for name in ids]
    frame = pd.DataFrame({"id": ids, "arm": arms, "at": started.clock.wall()})
    right = np.random.default_rng(7).random(requests)
    frame["value"] = (right < np.where(frame["arm"] == "candidate", 0.95 - drop, 0.95)).astype(float)
    return frame


async def post(started: Desk, frame: pd.DataFrame) -> tuple[int, int]:
    """All of them, shuffled, every tenth of them twice, in calls of 5000; days later. (new, duplicates)"""
    rows = list(frame.itertuples(index=False)) + list(frame.sample(frac=0.1, random_state=1).itertuples(index=False))
    random.Random(3).shuffle(rows)
    started.clock.advance(3 * 86_400)
    new = duplicates = 0
    for first in range(0, len(rows), 5_000):
        some = [Outcome(row.id, row.id, "correct", row.value, row.at) for row in rows[first : first + 5_000]]
        receipt = await started.controller.promotions.post(MODEL, some)
        assert receipt.unjoined == {}
        new, duplicates = new + receipt.new, duplicates + receipt.duplicates
    return new, duplicates


@pytest.mark.parametrize(("drop", "requests", "rolls_back"), [(0.12, REQUESTS, True), (0.02, 20_000, False)])
def test_accuracy_by_arm_is_what_pandas_says_and_a_large_drop_rolls_back(
    tmp_path: Path, drop: float, requests: int, rolls_back: bool
) -> None:
    @in_loop
    async def judged() -> None:
        async with desk(tmp_path) as started:
            await on_the_ramp(started)
            frame = answers(started, drop, requests)
            assert await post(started, frame) == (requests, requests // 10)
            facts = await started.controller.promotions.facts(MODEL, "42")
            expected = frame.groupby("arm")["value"].agg(["count", "mean", "var"])
            for arm, moments in facts.outcomes["correct"].items():
                assert moments.count == expected.loc[arm, "count"]
                assert moments.mean == pytest.approx(expected.loc[arm, "mean"], rel=1e-9)
                assert moments.squares / (moments.count - 1) == pytest.approx(expected.loc[arm, "var"], rel=1e-9)
            await started.controller.promotions.look()
            await started.controller.tick()
            assert started.phase is (Phase.ROLLED_BACK if rolls_back else Phase.RAMP)
            if rolls_back:
                assert started.rollout.reason.startswith("gate accuracy: accuracy 8")
                assert "at least -10 % asked" in started.rollout.reason

    judged()


def test_a_users_many_outcomes_are_one(tmp_path: Path) -> None:
    @in_loop
    async def posted() -> None:
        async with desk(tmp_path) as started:
            await on_the_ramp(started)
            at = started.clock.wall()
            many = [Outcome(f"u@{at + n}", "u", "revenue", float(n), at + n) for n in range(5)]
            assert (await started.controller.promotions.post(MODEL, many)).new == 5
            facts = await started.controller.promotions.facts(MODEL)
            ((moments,),) = (arms.values() for arms in facts.outcomes.values())
            assert (moments.count, moments.mean, moments.squares) == (1, 2.0, 0.0)

    posted()


def test_only_the_newest_rollouts_are_kept(tmp_path: Path) -> None:
    @in_loop
    async def posted() -> None:
        async with desk(tmp_path) as started:
            for _ in range(4):
                await on_the_ramp(started)
                at = started.clock.wall()
                assert (
                    await started.controller.promotions.post(MODEL, [Outcome("a", "a", "correct", 1.0, at)])
                ).new == 1
                await started.command(Event.ROLL_BACK, reason="enough")
                started.clock.advance(86_400)
        store = SqlOutcomes(f"sqlite:///{tmp_path / 'outcomes.db'}")
        kept = [bool(store.tally(f"r{number}")) for number in (1, 2, 3, 4)]
        store.close()
        assert kept == [False, True, True, True]

    posted()
