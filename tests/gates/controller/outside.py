"""A desk whose rollout is watched by gates over other things than its windows, and how it is led on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gates.adapters.outcomes import SqlOutcomes
from gates.controller.replay import replay
from gates.phases import Event
from gates.promotion.outcomes import Outcome
from gates.promotion.production import ProductionGate
from gates.promotion.rule import Bounds
from gates.promotion.series import SeriesGate
from gates.settings import PromotionGates
from gates.verdict import Verdict
from proxy.routing import assign
from proxy.snapshot import Phase
from tests.control import Desk, Worker, model_settings, settings_of
from tests.fakes import FakeMetrics

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


async def go_on_to_the_bake(desk: Desk, worker: Worker) -> None:
    while desk.phase is not Phase.BAKE:
        await go_on(desk, worker)


def verdict(desk: Desk, gate: str) -> Verdict:
    return next(result.verdict for result in desk.rollout.gates if result.gate == gate)


def reason(desk: Desk, gate: str) -> str:
    return next(result.reason for result in desk.rollout.gates if result.gate == gate)


def each_as_it_was_made(desk: Desk) -> bool:
    return not any(each.differences for each in replay(row for row in desk.store.audit if row.rollout))


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
