"""Dialogues with a controller whose configuration leaves versions to the registry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gates.ports import RegistryError
from gates.status import UnresolvedStatus
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop, model_settings
from tests.fakes import FakeRegistry

ALIASED = model_settings(champion="@champion", candidate="@challenger")


@in_loop
async def test_aliases_are_resolved_once_and_pinned() -> None:
    registry = FakeRegistry({(MODEL, "@champion"): "40", (MODEL, "@challenger"): "42"})
    async with Desk(ALIASED, registry=registry) as desk:
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
async def test_versions_are_never_asked_for() -> None:
    registry = FakeRegistry()
    async with Desk(registry=registry) as desk:
        assert await desk.controller.resolve()
        assert not registry.asked


@in_loop
async def test_a_registry_that_is_away_holds_up_its_own_model_alone() -> None:
    registry = FakeRegistry({(MODEL, "@champion"): "40"}, trouble=lambda act, model: "away")
    ranker = model_settings("ranker")
    async with Desk(model_settings(champion="@champion", candidate=None), ranker, registry=registry) as desk:
        assert not await desk.controller.resolve()
        assert desk.controller.snapshot.by_model["ranker"].phase is Phase.SHADOW
        with pytest.raises(RegistryError, match="has not told yet"):
            desk.controller.queries.model_status(MODEL)
        registry.trouble = lambda act, model: ""
        assert await desk.controller.resolve()
        assert desk.route.champion.version == "40"


@in_loop
async def test_a_model_that_waits_for_its_alias_is_told_with_the_reason() -> None:
    """It has no route: whoever looks must not take it for one that is not configured."""
    registry = FakeRegistry({(MODEL, "@champion"): "40"}, trouble=lambda act, model: "away")
    aliased = model_settings(champion="@champion", candidate=None)
    async with Desk(aliased, model_settings("ranker"), registry=registry) as desk:
        unasked = UnresolvedStatus(MODEL, "@champion", routed=False, reason="")
        assert desk.controller.queries.status().unresolved == (unasked,)
        await desk.controller.resolve()
        status = desk.controller.queries.status()
        assert status.unresolved == (replace(unasked, reason="away"),)
        assert [model.model for model in status.models] == ["ranker"]
        alone = desk.controller.queries.status(MODEL)
        assert (alone.models, alone.unresolved) == ((), status.unresolved)
        registry.trouble = lambda act, model: ""
        await desk.controller.resolve()
        assert desk.controller.queries.status().unresolved == ()
        assert desk.controller.queries.status(MODEL).models


@in_loop
async def test_a_candidate_that_waits_for_its_alias_is_told_beside_the_champion_that_serves() -> None:
    async with Desk(model_settings(candidate="@challenger"), registry=FakeRegistry()) as desk:
        await desk.controller.resolve()
        (unresolved,) = desk.controller.queries.status().unresolved
        assert (unresolved.alias, unresolved.routed) == ("@challenger", True)
        assert "has no @challenger" in unresolved.reason
