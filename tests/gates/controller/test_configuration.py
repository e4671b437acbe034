"""Dialogues with a controller: what its configuration asks for."""

from __future__ import annotations

import pytest

from gates.controller.routes import Unroutable
from gates.phases import Event
from proxy.snapshot import Origin, Phase
from tests.control import MODEL, Desk, in_loop, model_settings


@in_loop
async def test_servers_that_moved_are_a_new_generation() -> None:
    moved = {"40": (Origin("127.0.0.1", 7040),), "42": (Origin("127.0.0.1", 7042),)}
    async with Desk() as desk, desk.next(model_settings(servers=moved)) as later:
        assert later.controller.snapshot.generation == desk.controller.snapshot.generation + 1
        assert later.route.champion.origins == moved["40"]
        assert later.phase is Phase.SHADOW
        assert later.store.audit[-1].reason == "changed: champion, candidate"


@in_loop
async def test_a_new_champion_ends_the_rollout_and_begins_another() -> None:
    async with Desk() as desk, desk.next(model_settings(champion="41")) as later:
        assert later.route.champion.version == "41"
        assert later.rollout.id != desk.rollout.id
        events = [(row.event, row.reason) for row in later.store.audit]
        assert ("roll_back", "version 41 was configured as the champion") in events
        assert ("configure", "champion 40 -> 41") in events
        assert later.phase is Phase.SHADOW


@in_loop
async def test_a_candidate_that_is_configured_as_the_champion_is_promoted() -> None:
    async with Desk() as desk, desk.next(model_settings(champion="42", candidate=None)) as later:
        assert later.route.champion.version == "42"
        assert later.phase is Phase.PROMOTED
        assert [row.by for row in later.store.audit][-2:] == ["configuration", "configuration"]
        assert desk.rollout.id == later.rollout.id


@in_loop
async def test_the_file_may_follow_a_promotion() -> None:
    async with Desk() as desk:
        await desk.command(Event.PROMOTE)
        async with desk.next(model_settings(champion="42", candidate=None)) as later:
            assert later.route == desk.route
            assert later.store.servings[MODEL].configured == "42"


@in_loop
async def test_a_model_that_is_gone_takes_its_rollout_along() -> None:
    async with Desk() as desk, desk.next(model_settings("ranker")) as later:
        assert set(later.controller.snapshot.by_model) == {"ranker"}
        assert later.store.rollouts["r1"].phase is Phase.ROLLED_BACK
        assert MODEL not in later.store.servings
        async with desk.next() as back:
            assert back.phase is Phase.IDLE
            assert back.route.champion.version == "40"


@in_loop
async def test_a_candidate_without_servers_cannot_go_on() -> None:
    only = {"40": (Origin("127.0.0.1", 5040),)}
    async with Desk() as desk, desk.next(model_settings(servers=only, candidate=None)) as later:
        assert later.phase is Phase.ROLLED_BACK
        assert desk.phase is Phase.SHADOW


@in_loop
async def test_a_champion_without_servers_is_refused() -> None:
    only = {"40": (Origin("127.0.0.1", 5040),)}
    async with Desk() as desk:
        await desk.command(Event.PROMOTE)
        with pytest.raises(Unroutable, match=r"add it under models\.fraud_detector\.servers"):
            await desk.next(model_settings(servers=only, candidate=None)).controller.start()
