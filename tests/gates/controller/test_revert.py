"""Back to a version that served before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.controller.revert import NoSuchPast
from gates.controller.routes import Unroutable
from gates.controller.steering import AlreadyChampion
from gates.phases import Event
from gates.state import Serving
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop, model_settings
from tests.fakes import FakeRegistry

versions = st.sampled_from(["40", "41", "42", "43"])


@given(st.lists(versions, min_size=1, max_size=8))
def test_the_past_is_the_newest_two_others(moves: list[str]) -> None:
    serving, history = Serving(MODEL, "40", "40"), ["40"]
    for epoch, version in enumerate(moves, 1):
        serving = serving.moved(version, epoch)
        history = [version, *(old for old in history if old != version)]
    assert [v for v in (serving.version, serving.previous, serving.fallback) if v] == history[:3]


async def promoted(desk: Desk) -> None:
    await desk.controller.tick()
    await desk.command(Event.PROMOTE)
    assert desk.route.champion.version == "42"


@in_loop
async def test_back_to_the_previous_version_and_forth() -> None:
    async with Desk(registry=FakeRegistry()) as desk:
        await promoted(desk)
        await desk.controller.revert(MODEL, "previous", "ada", "wrong since last week")
        assert desk.route.champion.version == "40"
        status = desk.controller.queries.model_status(MODEL)
        assert (status.champion, status.previous, status.fallback, status.warm) == ("40", "42", "", ("42",))
        newest, *_ = await desk.controller.queries.events(MODEL, 5)
        assert (newest.event, newest.by, newest.reason) == (
            "revert",
            "ada",
            "champion 42 -> 40: wrong since last week",
        )
        await desk.controller.revert(MODEL, "41", "ada", "neither")
        assert (desk.route.champion.version, desk.controller.queries.model_status(MODEL).fallback) == ("41", "42")
        assert [errand.kind for errand in desk.store.errands][-2:] == ["revert", "revert"]


@in_loop
async def test_a_rollout_that_is_under_way_ends_with_it_in_one_commit() -> None:
    async with Desk() as desk:
        await promoted(desk)
        await desk.controller.start_rollout(MODEL, "43", "ada", "next")
        assert desk.phase is Phase.SHADOW
        generation = desk.controller.snapshot.generation
        await desk.controller.revert(MODEL, "previous", "ada", "both are bad")
        assert desk.controller.snapshot.generation == generation + 1
        assert (desk.route.champion.version, desk.route.candidate, desk.phase) == ("40", None, Phase.ROLLED_BACK)
        revert, rollback, *_ = await desk.controller.queries.events(MODEL, 5)
        assert (revert.event, rollback.event, rollback.reason) == ("revert", "roll_back", "both are bad")


@in_loop
async def test_it_is_still_so_after_a_restart() -> None:
    desk = Desk()
    async with desk:
        await promoted(desk)
        await desk.controller.revert(MODEL, "previous", "ada", "wrong")
    async with desk.next(replace(model_settings(), candidate=None)) as after:
        assert after.route.champion.version == "40"
        assert after.controller.queries.model_status(MODEL).previous == "42"


@pytest.mark.parametrize(("to", "error"), [("fallback", NoSuchPast), ("42", AlreadyChampion), ("7", Unroutable)])
@in_loop
async def test_what_cannot_be_is_refused_and_changes_nothing(to: str, error: type[Exception]) -> None:
    async with Desk() as desk:
        await promoted(desk)
        generation = desk.controller.snapshot.generation
        with pytest.raises(error):
            await desk.controller.revert(MODEL, to, "ada", "why not")
        assert desk.controller.snapshot.generation == generation


@in_loop
async def test_whoever_keeps_a_file_is_told_of_every_move() -> None:
    told: list[list[tuple[str, str, str]]] = []
    desk = Desk()
    desk.controller.on_pins_moved(lambda all_: told.append([(s.version, s.previous, s.fallback) for s in all_]))
    async with desk:
        await promoted(desk)
        await desk.controller.revert(MODEL, "41", "ada", "wrong")
    assert told == [[("40", "", "")], [("42", "40", "")], [("41", "42", "40")]]
