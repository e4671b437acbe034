from __future__ import annotations

from dataclasses import replace

import pytest

from gates.controller.routes import Unroutable, snapshot_of
from gates.gate import Gate
from gates.rollout import Rollout
from gates.state import Serving
from proxy.snapshot import HeaderMatch, HealthProbe, ModelRoute, Phase, Sticky
from tests.control import MODEL, PLAN, TERMS, model_settings, settings_of

SERVING = Serving(MODEL, "40", "40", 3)
ROLLOUT = Rollout("r1", MODEL, "40", "42", "ada", TERMS, Phase.SHADOW, begun=5, epoch=5)


def route(rollout: Rollout | None, serving: Serving = SERVING) -> ModelRoute:
    rollouts = {} if rollout is None else {MODEL: rollout}
    snapshot = snapshot_of(settings_of(), {MODEL: serving}, rollouts, 9)
    assert snapshot.generation == 9
    return snapshot.by_model[MODEL]


def test_without_a_rollout_the_champion_serves_alone() -> None:
    idle = route(None)
    assert (idle.champion.version, idle.candidate, idle.phase, idle.ramp_bp) == ("40", None, Phase.IDLE, 0)
    assert (idle.epoch, idle.salt) == (3, "")


def test_in_shadow_the_candidate_serves_nobody() -> None:
    shadow = route(ROLLOUT)
    assert shadow.candidate is not None
    assert (shadow.candidate.version, shadow.ramp_bp, shadow.epoch, shadow.salt) == ("42", 0, 5, "r1")


@pytest.mark.parametrize("phase", [Phase.RAMP, Phase.PAUSED, Phase.AWAITING_APPROVAL])
@pytest.mark.parametrize("position", range(1, PLAN.last))
def test_a_carrying_rollout_has_the_share_of_its_stage(phase: Phase, position: int) -> None:
    ramp = route(replace(ROLLOUT, phase=phase, position=position, epoch=8))
    assert ramp.ramp_bp == PLAN.stages[position].share_bp
    assert (ramp.phase, ramp.epoch) == (phase, 8)


def test_a_rollout_paused_in_shadow_serves_nobody() -> None:
    paused = route(replace(ROLLOUT, phase=Phase.PAUSED))
    assert (paused.candidate is not None, paused.ramp_bp) == (True, 0)


def test_in_bake_the_candidate_has_all() -> None:
    assert route(replace(ROLLOUT, phase=Phase.BAKE, position=PLAN.last)).ramp_bp == 10_000


def test_a_rollout_that_was_rolled_back_leaves_no_trace_but_its_name() -> None:
    over = route(replace(ROLLOUT, phase=Phase.ROLLED_BACK, position=2, epoch=8))
    assert (over.champion.version, over.candidate, over.ramp_bp) == ("40", None, 0)
    assert (over.phase, over.epoch) == (Phase.ROLLED_BACK, 8)


def test_a_promoted_candidate_is_the_champion() -> None:
    over = route(replace(ROLLOUT, phase=Phase.PROMOTED, position=PLAN.last, epoch=8), Serving(MODEL, "42", "40", 8))
    assert (over.champion.version, over.candidate, over.phase, over.epoch) == ("42", None, Phase.PROMOTED, 8)


def test_a_champion_that_was_settled_later_makes_an_old_rollout_history() -> None:
    fresh = route(replace(ROLLOUT, phase=Phase.ROLLED_BACK, epoch=8), Serving(MODEL, "41", "41", 9))
    assert (fresh.champion.version, fresh.phase, fresh.epoch, fresh.salt) == ("41", Phase.IDLE, 9, "")


def test_a_model_that_nothing_is_settled_for_has_no_route() -> None:
    both = settings_of(model_settings(), model_settings("ranker"))
    assert set(snapshot_of(both, {MODEL: SERVING}, {}, 1).by_model) == {MODEL}


def test_what_the_settings_say_of_traffic_is_passed_on() -> None:
    settings = model_settings(
        sticky=Sticky("header", "x-user-id"),
        timeout=0.5,
        max_body=7,
        host="h",
        header=HeaderMatch("x-model", "a"),
        health=HealthProbe("/ping"),
        max_concurrent=9,
        doubt_rejections=False,
    )
    told = snapshot_of(settings_of(settings), {MODEL: SERVING}, {}, 1).by_model[MODEL]
    assert (told.sticky, told.timeout, told.max_body) == (settings.sticky, 0.5, 7)
    assert (told.shadow, told.agreement, told.path_prefix) == (
        settings.shadow,
        settings.agreement,
        settings.path_prefix,
    )
    assert (told.host, told.header) == (settings.host, settings.header)
    assert (told.health, told.max_concurrent, told.doubt_rejections) == (settings.health, 9, False)


def test_a_version_without_servers_is_named_with_its_remedy() -> None:
    with pytest.raises(Unroutable, match=r"version 7 has no server; add it under models\.fraud_detector\.servers"):
        route(None, Serving(MODEL, "7", "7"))


def test_workers_tell_units_apart_while_a_gate_asks_for_it() -> None:
    gates = (*TERMS.gates, Gate("users", "error_rate", 0.01, per="unit"))
    asking = replace(ROLLOUT, terms=replace(TERMS, gates=gates))
    assert [route(rollout).by_unit for rollout in (None, ROLLOUT, asking)] == [False, False, True]
    assert not route(replace(asking, phase=Phase.ROLLED_BACK)).by_unit
