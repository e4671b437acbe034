"""The settings against the store's truth: what a new configuration changes, and which rollouts it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import msgspec

from gates.controller.outbox import errands_of
from gates.controller.record import Inputs, audit_of
from gates.controller.routes import snapshot_of
from gates.controller.standing import Standing
from gates.decision import Command, Decision, Observation, Rollout, decide
from gates.phases import Event
from gates.ports import AuditRow, Commit, Serving, Trial
from gates.settings import ModelSettings, Settings
from proxy.snapshot import ModelRoute, Phase

CONFIGURATION = "configuration"

Versions = Mapping[tuple[str, str], str]
"""The version that each (model, alias) names."""


def is_alias(reference: str) -> bool:
    return reference.startswith("@")


def aliases(settings: Settings, standing: Standing, versions: Versions) -> list[tuple[str, str]]:
    """The (model, alias) pairs still to be resolved: a champion's until it is settled, once and for all; a candidate's
    as long as it might be tried."""
    champions = [(m.name, m.champion) for m in settings.models if not _settled(m, standing)]
    candidates = [(m.name, m.candidate) for m in settings.models if m.candidate and not _carrying(standing, m.name)]
    return [pair for pair in (*champions, *candidates) if is_alias(pair[1]) and pair not in versions]


def configure(settings: Settings, standing: Standing, versions: Versions, at: float, registered: bool) -> Commit | None:
    """The one commit that brings the store in line with the settings, None where it is already.

    A promotion outlives the file: the store's serving version stays as long as the file's champion is the one that was
    recorded with it. A champion whose alias is not resolved stays what it was, if anything. A rollout that the settings
    cut the ground from ends. Raises Unroutable."""
    generation = standing.generation + 1
    settled = (_serving(model, standing, versions, generation) for model in settings.models)
    servings = {serving.model: serving for serving in settled if serving is not None}
    ends = [
        _Ending(decision, Inputs(rollout, Observation(), command, generation))
        for rollout in standing.rollouts.values()
        if rollout.carrying and (command := _end(rollout, settings, servings)) is not None
        if (decision := decide(rollout, Observation(), command, generation)) is not None
    ]
    rollouts = {**standing.rollouts, **{end.decision.rollout.model: end.decision.rollout for end in ends}}
    snapshot = snapshot_of(settings, servings, rollouts, generation)
    audit = (
        *(audit_of(end.decision, end.inputs, at) for end in ends),
        *_configured(standing, servings, snapshot.by_model, generation, at),
    )
    if not audit:
        return None
    return Commit(
        snapshot=snapshot,
        audit=audit,
        rollouts=tuple(end.decision.rollout for end in ends),
        servings=tuple(servings.values()),
        gone=tuple(sorted(standing.servings.keys() - servings.keys())),
        errands=tuple(errand for end in ends for errand in errands_of(end.decision, at)) if registered else (),
    )


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
class _Ending:
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
    epoch = before.epoch if before is not None and before.version == version else generation
    return Serving(model.name, version, model.champion, epoch)


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
