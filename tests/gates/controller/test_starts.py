"""Rollouts that the configuration names begin beside everything else, and hold nothing up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gates.phases import Event
from gates.promotion.versions import VersionFacts
from gates.settings import ModelSettings
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop, model_settings, settings_of, until
from tests.fakes import HANG
from tests.gates.controller.test_gatekeeper import GATES, KnownVersions
from tests.wire import PATIENCE

SLOW = "ranker"


@dataclass
class SlowVersions(KnownVersions):
    """Of which one model's files are read for as long as `read` is clear; `asked` has each candidate that was read."""

    read: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def facts(self, model: str, version: str) -> VersionFacts:
        if version != "40":
            self.asked.append(version)
        if model == SLOW:
            assert self.read.wait(HANG)
        return super().facts(model, version)


def gated(**changes: object) -> ModelSettings:
    return model_settings(SLOW, promotion=GATES, **changes)


@asynccontextmanager
async def running(versions: SlowVersions, *models: ModelSettings) -> AsyncIterator[Desk]:
    """A control plane as `penstock control` runs it, loops and all, which has a rollout of MODEL under way already."""
    before = Desk(model_settings())
    async with before:
        await before.command(Event.CLIMB)
    desk = Desk(*(models or (gated(), model_settings())), store=before.store, clock=before.clock, versions=versions)
    await asyncio.wait_for(desk.controller.start(), PATIENCE)
    work = asyncio.create_task(desk.controller.run())
    try:
        yield desk
    finally:
        versions.read.set()
        work.cancel()
        await asyncio.wait([work])
        await desk.controller.stop()


def judged(desk: Desk) -> list[str]:
    return [row.reason for row in desk.store.audit if row.event == "gate"]


@in_loop
async def test_what_is_under_way_is_watched_while_a_models_files_are_read() -> None:
    versions = SlowVersions()
    async with running(versions) as desk:
        await until(lambda: versions.asked == ["42"])
        assert desk.controller.started
        assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 500)
        async with asyncio.timeout(PATIENCE):
            await desk.command(Event.ROLL_BACK, reason="it is steered as well")
            await desk.controller.adopt(settings_of(gated(timeout=9.0), model_settings()))
        assert desk.controller.snapshot.by_model[SLOW].timeout == 9.0


@in_loop
async def test_no_rollout_waits_for_the_gates_of_another() -> None:
    versions = SlowVersions()
    async with running(versions, gated(), model_settings("pricing"), model_settings()) as desk:
        await until(lambda: desk.controller.snapshot.by_model["pricing"].phase is Phase.SHADOW)
        assert desk.controller.snapshot.by_model[SLOW].phase is Phase.IDLE


@in_loop
async def test_a_candidate_is_judged_once_by_the_same_gates(caplog: pytest.LogCaptureFixture) -> None:
    """A NO-GO is never tried, so it is wanted again at each change of the file: its files take minutes to read."""
    versions = SlowVersions()
    versions.read.set()
    async with running(versions) as desk:
        await until(lambda: "cannot begin" in caplog.text)
        for seconds in (7.0, 8.0):
            await desk.controller.adopt(settings_of(gated(timeout=seconds), model_settings()))
            await desk.controller.resolve()
        assert (judged(desk), versions.asked) == (["version 42: offline NO-GO"], ["42"])
        versions.accuracy["43"] = 0.99
        await desk.controller.adopt(settings_of(gated(candidate="43"), model_settings()))
        await until(lambda: desk.controller.snapshot.by_model[SLOW].phase is Phase.SHADOW)
        assert versions.asked == ["42", "43"]


@in_loop
async def test_a_person_who_asks_for_it_has_it_judged_anew() -> None:
    versions = SlowVersions()
    versions.read.set()
    async with running(versions) as desk:
        await until(lambda: len(judged(desk)) == 1)
        versions.accuracy["42"] = 0.99
        await desk.controller.start_rollout(SLOW, "42", "ada", "its metrics were logged late")
        assert desk.controller.snapshot.by_model[SLOW].phase is Phase.SHADOW


@in_loop
async def test_what_is_wanted_no_more_does_not_begin_once_its_files_are_read() -> None:
    versions = SlowVersions(accuracy={"40": 0.95, "42": 0.99})
    async with running(versions) as desk:
        await until(lambda: versions.asked == ["42"])
        await desk.controller.adopt(settings_of(gated(candidate=None), model_settings()))
        versions.read.set()
        await until(lambda: judged(desk) == ["version 42: offline GO"])
        await desk.controller.resolve()
        assert desk.controller.snapshot.by_model[SLOW].phase is Phase.IDLE
        assert MODEL in desk.controller.snapshot.by_model
