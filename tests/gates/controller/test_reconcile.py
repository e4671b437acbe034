from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gates.controller.reconcile import aliases, configure, wanted
from gates.controller.record import Inputs
from gates.controller.standing import NOWHERE, Standing, trial_of
from gates.decision import Command, Observation
from gates.rollout import Rollout
from gates.state import Commit, Serving, Trial
from proxy.snapshot import Origin, Phase
from tests.control import MODEL, TERMS, model_settings, settings_of

ROLLOUT = Rollout("r1", MODEL, "40", "42", "ada", TERMS, Phase.RAMP, position=1, begun=2, epoch=3)


def seen(rollout: Rollout, command: Command) -> Inputs:
    """A stage that has shown nothing yet."""
    return Inputs(rollout, Observation(), command, generation=9)


def configured(standing: Standing, **changes: Any) -> Commit | None:
    return configure(settings_of(model_settings(**changes)), standing, {}, 1.0, True, seen)


def settled(*rollouts: Rollout, **changes: Any) -> Standing:
    """What a first start leaves, with these rollouts on top."""
    commit = configured(NOWHERE, **changes)
    assert commit is not None
    return NOWHERE.after(replace(commit, rollouts=rollouts))


def test_a_first_start_settles_every_model() -> None:
    commit = configured(NOWHERE)
    assert commit is not None
    assert commit.servings == (Serving(MODEL, "40", "40", 1),)
    assert [(row.event, row.reason, row.generation) for row in commit.audit] == [("configure", "new, champion 40", 1)]
    assert commit.snapshot.generation == 1


def test_the_same_settings_again_change_nothing() -> None:
    assert configured(settled()) is None
    one, two = model_settings("one"), model_settings("two")
    first = configure(settings_of(one, two), NOWHERE, {}, 1.0, True, seen)
    assert first is not None
    assert configure(settings_of(two, one), NOWHERE.after(first), {}, 2.0, True, seen) is None


def test_a_commit_follows_from_its_own_standing() -> None:
    """Applied once, the settings have nothing more to ask."""
    for changes in ({"timeout": 9.0}, {"champion": "41"}, {"champion": "42"}, {"path_prefix": "/elsewhere"}):
        standing = settled(ROLLOUT)
        commit = configured(standing, **changes)
        assert commit is not None
        assert configured(standing.after(commit), **changes) is None


@pytest.mark.parametrize(
    ("changes", "phase", "reason"),
    [
        ({"champion": "41"}, Phase.ROLLED_BACK, "version 41 was configured as the champion"),
        ({"champion": "42"}, Phase.PROMOTED, "version 42 was configured as the champion"),
        ({"servers": {"40": (Origin("h", 1),)}}, Phase.ROLLED_BACK, "version 42 has no server any more"),
        ({"name": "other"}, Phase.ROLLED_BACK, "the model is no longer configured"),
    ],
)
def test_a_rollout_ends_where_the_settings_cut_the_ground_from_it(
    changes: dict[str, Any], phase: Phase, reason: str
) -> None:
    commit = configured(settled(ROLLOUT), **changes)
    assert commit is not None
    (ended,) = commit.rollouts
    assert (ended.phase, ended.reason, ended.epoch) == (phase, reason, commit.snapshot.generation)
    assert [kind for kind, _ in commit.errands] == ["finish"]


def test_a_rollout_goes_on_under_settings_that_leave_it_alone() -> None:
    commit = configured(settled(ROLLOUT), timeout=9.0, candidate="43")
    assert commit is not None
    assert commit.rollouts == ()
    assert commit.snapshot.by_model[MODEL].candidate is not None


def test_the_epoch_moves_with_the_version_alone() -> None:
    standing = settled()
    renamed = configure(settings_of(model_settings(champion="@c")), standing, {(MODEL, "@c"): "40"}, 1.0, False, seen)
    assert renamed is not None
    assert renamed.servings == (Serving(MODEL, "40", "@c", 1),)
    moved = configured(standing, champion="41")
    assert moved is not None
    assert moved.servings == (Serving(MODEL, "41", "41", 2, previous="40"),)


def test_what_is_wanted_is_what_was_never_tried() -> None:
    settings = settings_of()
    standing = settled()
    assert wanted(settings, standing, {}) == [(MODEL, "42")]
    tried = replace(standing, tried=frozenset({Trial(MODEL, "40", "42")}))
    assert wanted(settings, tried, {}) == []
    promoted = replace(standing, servings={MODEL: Serving(MODEL, "42", "40", 5)})
    assert wanted(settings, promoted, {}) == []
    against_another = replace(standing, tried=frozenset({Trial(MODEL, "41", "42")}))
    assert wanted(settings, against_another, {}) == [(MODEL, "42")]
    assert wanted(settings, settled(ROLLOUT), {}) == []


def test_aliases_are_asked_for_until_they_are_settled() -> None:
    settings = settings_of(model_settings(champion="@champion", candidate="@challenger"))
    champion, challenger = (MODEL, "@champion"), (MODEL, "@challenger")
    assert aliases(settings, NOWHERE, {}) == [champion, challenger]
    assert aliases(settings, NOWHERE, {champion: "40"}) == [challenger]
    commit = configure(settings, NOWHERE, {champion: "40"}, 1.0, False, seen)
    assert commit is not None
    standing = NOWHERE.after(commit)
    assert aliases(settings, standing, {}) == [challenger]
    assert wanted(settings, standing, {}) == []
    assert wanted(settings, standing, {challenger: "42"}) == [(MODEL, "42")]
    carrying = replace(standing, rollouts={MODEL: ROLLOUT})
    assert aliases(settings, carrying, {}) == []


def test_a_trial_is_remembered_by_who_met() -> None:
    assert settled(ROLLOUT).tried == {trial_of(ROLLOUT)} == {Trial(MODEL, "40", "42")}
