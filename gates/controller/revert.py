"""Back to a version that served before, whatever is under way: one commit ends the rollout and changes who serves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from gates.controller.outbox import Revert, errands_of
from gates.controller.record import Inputs, audit_of
from gates.controller.routes import snapshot_of
from gates.controller.standing import Standing
from gates.decision import Decision
from gates.ports import RolloutFacts
from gates.rollout import Rollout
from gates.settings import Settings
from gates.state import AuditRow, Commit, Serving
from proxy.snapshot import Phase

REVERT = "revert"
PREVIOUS, FALLBACK = "previous", "fallback"


class NoSuchPast(Exception):
    """The model has served by no such version before, as far as is known."""


class Unserved(Exception):
    """The version has not served before, as far as is known, or is on trial: letting it serve is a release."""


@dataclass(frozen=True, slots=True)
class Reverted:
    """What a revert's audit row keeps beside the reason."""

    serving: Serving
    """Who served before."""
    target: str


def target_of(serving: Serving, to: str) -> str:
    """The version that "previous", "fallback" or a version means now. Raises NoSuchPast."""
    version = {PREVIOUS: serving.previous, FALLBACK: serving.fallback}.get(to, to)
    if not version:
        known = ", ".join(v for v in (serving.previous, serving.fallback) if v) or "none"
        raise NoSuchPast(f"{serving.model} has no {to} version on record; known: {known}. Name a version: --to VERSION")
    return version


def require_served(serving: Serving, rollout: Rollout | None, version: str) -> None:
    """Raises Unserved where going to the version is no way back: nobody is let past the gates by it."""
    if rollout is not None and rollout.carrying and rollout.candidate == version:
        raise Unserved(f"{serving.model}: version {version} is on trial, and not let in by a rollback")
    if version not in (serving.previous, serving.fallback):
        known = ", ".join(v for v in (serving.previous, serving.fallback) if v) or "none"
        raise Unserved(f"{serving.model}: version {version} is none of those that served before: {known}")


def revert(
    settings: Settings,
    standing: Standing,
    model: str,
    version: str,
    by: str,
    reason: str,
    ending: tuple[Inputs, Decision] | None,
    at: float,
    registered: bool,
) -> Commit:
    """`ending` is the rollout's own rollback, where one is carrying. Raises Unroutable."""
    before, generation = standing.servings[model], standing.generation + 1
    serving = before.moved(version, generation)
    ended = () if ending is None else (ending[1].rollout,)
    rollouts = {**standing.rollouts, **{rollout.model: rollout for rollout in ended}}
    row = AuditRow(
        generation=generation,
        at=at,
        model=model,
        rollout="",
        event=REVERT,
        by=by,
        reason=f"champion {before.version} -> {version}: {reason}",
        phase=Phase.IDLE,
        position=0,
        inputs=msgspec.json.encode(Reverted(before, version)).decode(),
    )
    told = Revert(RolloutFacts(f"{REVERT}-{generation}-{at:.0f}", model, version, before.version), by, reason, at)
    errands = () if ending is None else errands_of(ending[1], at)
    return Commit(
        snapshot=snapshot_of(settings, {**standing.servings, model: serving}, rollouts, generation),
        audit=(*(() if ending is None else (audit_of(ending[1], replace(ending[0], generation=generation), at),)), row),
        rollouts=ended,
        servings=(serving,),
        errands=(*errands, (REVERT, msgspec.json.encode(told).decode())) if registered else (),
    )
