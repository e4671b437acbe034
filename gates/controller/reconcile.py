"""The settings against the store's truth: what a new configuration changes, and which rollouts it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace

import msgspec

from gates.controller.outbox import errands_of
from gates.controller.record import Inputs, audit_of
from gates.controller.routes import snapshot_of
from gates.controller.standing import Standing
from gates.decision import Command, Decision, Observation
from gates.phases import Event
from gates.rollout import Amendment, Rollout, Terms, told
from gates.settings import ModelSettings, Settings
from gates.state import AuditRow, Commit, Serving, Trial
from proxy.snapshot import ModelRoute, Phase

CONFIGURATION = "configuration"

Versions = Mapping[tuple[str, str], str]
"""The version that each (model, alias) names."""
Seen = Callable[[Rollout, Command], Inputs]
"""What a decision about a rollout is made from, with what its stage has shown so far."""


def terms_of(model: ModelSettings) -> Terms:
    """What a rollout of the model is judged by. A share that is set by hand is a step of its plan."""
    plan = model.plan if model.percent is None else model.plan.through(model.percent)
    outside = tuple(each.gate for each in model.promotion.under_way)
    return Terms(plan, model.gates, model.budget, model.agreement, outside)


def is_alias(reference: str) -> bool:
    return reference.startswith("@")


def aliases(settings: Settings, standing: Standing, versions: Versions) -> list[tuple[str, str]]:
    """The (model, alias) pairs still to be resolved: a champion's until it is settled, once and for all; a candidate's
    as long as it might be tried."""
    champions = [(m.name, m.champion) for m in settings.models if not _settled(m, standing)]
    candidates = [(m.name, m.candidate) for m in settings.models if m.candidate and not _carrying(standing, m.name)]
    return [pair for pair in (*champions, *candidates) if is_alias(pair[1]) and pair not in versions]


def configure(
    settings: Settings, standing: Standing, versions: Versions, at: float, registered: bool, seen: Seen
) -> Commit | None:
    """The one commit that brings the store in line with the settings, None where it is already.

    A promotion outlives the file: the store's serving version stays as long as the file's champion is the one that was
    recorded with it. A champion whose alias is not resolved stays what it was, if anything. A rollout that the settings
    cut the ground from ends; any other goes on under the terms that they have now, unless a retreat is due, which is
    what `seen` is for. Raises Unroutable."""
    generation = standing.generation + 1
    settled = (_serving(model, standing, versions, generation) for model in settings.models)
    servings = {serving.model: serving for serving in settled if serving is not None}
    made = [
        _Made(decision, inputs)
        for rollout in standing.rollouts.values()
        if rollout.carrying and (inputs := _asked(rollout, settings, servings, seen, generation)) is not None
        if (decision := inputs.decide()) is not None
    ]
    rollouts = {**standing.rollouts, **{each.decision.rollout.model: each.decision.rollout for each in made}}
    snapshot = snapshot_of(settings, servings, rollouts, generation)
    audit = (
        *(audit_of(each.decision, each.inputs, at) for each in made),
        *_configured(standing, servings, snapshot.by_model, generation, at),
    )
    if not audit:
        return None
    return Commit(
        snapshot=snapshot,
        audit=audit,
        rollouts=tuple(each.decision.rollout for each in made),
        servings=tuple(servings.values()),
        gone=tuple(sorted(standing.servings.keys() - servings.keys())),
        errands=tuple(errand for each in made for errand in errands_of(each.decision, at)) if registered else (),
    )


def preview(
    settings: Settings, standing: Standing, versions: Versions, at: float, registered: bool, seen: Seen
) -> list[tuple[str, str, str]]:
    """What the settings would change: model, event and reason, the rollouts that they begin included.

    Raises Unroutable."""
    commit = configure(settings, standing, versions, at, registered, seen)
    made = [(row.model, row.event, row.reason) for row in commit.audit] if commit else []
    after = standing.after(commit) if commit else standing
    starts = wanted(settings, after, versions)
    return made + [
        (model, Event.START, f"version {candidate} is named as its candidate") for model, candidate in starts
    ]


def wanted(settings: Settings, standing: Standing, versions: Versions) -> list[tuple[str, str]]:
    """The (model, candidate) pairs that the settings name and that no rollout on record has tried against this
    champion."""
    named = [
        (model.name, versions.get((model.name, model.candidate), model.candidate))
        for model in settings.models
        if model.candidate and model.name in standing.servings and not _carrying(standing, model.name)
    ]
    return [
        (model, candidate)
        for model, candidate in named
        if not is_alias(candidate)
        and candidate != (champion := standing.servings[model].version)
        and Trial(model, champion, candidate) not in standing.tried
    ]


@dataclass(frozen=True, slots=True)
class _Made:
    decision: Decision
    inputs: Inputs


def _settled(model: ModelSettings, standing: Standing) -> bool:
    serving = standing.servings.get(model.name)
    return serving is not None and serving.configured == model.champion


def _carrying(standing: Standing, model: str) -> bool:
    rollout = standing.rollouts.get(model)
    return rollout is not None and rollout.carrying


def _serving(model: ModelSettings, standing: Standing, versions: Versions, generation: int) -> Serving | None:
    before = standing.servings.get(model.name)
    version = versions.get((model.name, model.champion), model.champion)
    if _settled(model, standing) or is_alias(version):
        return before
    if before is None:
        return Serving(model.name, version, model.champion, generation)
    moved = before if before.version == version else before.moved(version, generation)
    return replace(moved, configured=model.champion)


def _asked(
    rollout: Rollout, settings: Settings, servings: Mapping[str, Serving], seen: Seen, generation: int
) -> Inputs | None:
    """What the settings ask of a rollout, with what that is decided from; None where they ask nothing.

    Its end does not depend on what it has shown."""
    end = _end(rollout, settings, servings)
    if end is not None:
        return Inputs(rollout, Observation(), end, generation)
    amendment = _amendment(next(model for model in settings.models if model.name == rollout.model))
    return seen(rollout, _amend(rollout, amendment)) if amendment.changes(rollout) else None


def _amendment(model: ModelSettings) -> Amendment:
    return Amendment(terms_of(model), model.percent)


def _amend(rollout: Rollout, amendment: Amendment) -> Command:
    """A share that is no longer set by hand gives the rollout back to its plan."""
    event = Event.AMEND
    if amendment.by_hand not in (None, rollout.by_hand):
        event = Event.SET_SHARE
    elif amendment.by_hand is None and rollout.by_hand is not None and rollout.phase is Phase.PAUSED:
        event = Event.RESUME
    return Command(event, CONFIGURATION, told(rollout, amendment), amendment)


def _end(rollout: Rollout, settings: Settings, servings: Mapping[str, Serving]) -> Command | None:
    """What the settings ask of a rollout that cannot go on under them, None where it can."""
    model = next((m for m in settings.models if m.name == rollout.model), None)
    if model is None:
        return Command(Event.ROLL_BACK, CONFIGURATION, "the model is no longer configured")
    version = servings[rollout.model].version
    if version == rollout.candidate:
        return Command(Event.PROMOTE, CONFIGURATION, f"version {version} was configured as the champion")
    if version != rollout.champion:
        return Command(Event.ROLL_BACK, CONFIGURATION, f"version {version} was configured as the champion")
    if not model.servers.get(rollout.candidate):
        return Command(Event.ROLL_BACK, CONFIGURATION, f"version {rollout.candidate} has no server any more")
    return None


def _configured(
    standing: Standing, servings: Mapping[str, Serving], after: Mapping[str, ModelRoute], generation: int, at: float
) -> Iterator[AuditRow]:
    """A row for each model that the settings change, new and gone ones included."""
    before = standing.snapshot.by_model
    for model in sorted({*before, *after, *servings}):
        old, new = before.get(model), after.get(model)
        if old is not None and new is not None and new.candidate == old.candidate:
            # How the rollout moved stands in a row of its own.
            old = replace(old, phase=new.phase, ramp_bp=new.ramp_bp, epoch=new.epoch)
        if old == new and standing.servings.get(model) == servings.get(model):
            continue
        yield AuditRow(
            generation=generation,
            at=at,
            model=model,
            rollout="",
            event="configure",
            by=CONFIGURATION,
            reason=_difference(old, new),
            phase=Phase.IDLE if new is None else new.phase,
            position=0,
            inputs=msgspec.json.encode({"before": old, "after": new}).decode(),
        )


def _difference(old: ModelRoute | None, new: ModelRoute | None) -> str:
    if new is None:
        return "no longer configured"
    if old is None:
        return f"new, champion {new.champion.version}"
    if old.champion.version != new.champion.version:
        return f"champion {old.champion.version} -> {new.champion.version}"
    changed = [f.name for f in fields(ModelRoute) if getattr(old, f.name) != getattr(new, f.name)]
    return f"changed: {', '.join(changed) or 'the name of the champion'}"
