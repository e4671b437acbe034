"""What the workers are told: the routing truth that follows from the settings and from what was decided."""

from __future__ import annotations

from collections.abc import Mapping

from gates.rollout import Rollout
from gates.settings import ModelSettings, Settings
from gates.state import Serving
from proxy.snapshot import ModelRoute, Phase, Snapshot, Target


class Unroutable(Exception):
    """A version that should get traffic has no servers in the configuration; `key` is where they belong."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(f"{model}: version {version} has no server; add it under models.{model}.servers")
        self.key = ("models", model, "servers")


def snapshot_of(
    settings: Settings, servings: Mapping[str, Serving], rollouts: Mapping[str, Rollout], generation: int
) -> Snapshot:
    """The snapshot of this generation; `servings` and `rollouts` (each model's newest) are by model.

    A model that nothing is settled for yet has no route. Raises Unroutable."""
    routes = (
        _route(model, servings[model.name], rollouts.get(model.name))
        for model in settings.models
        if model.name in servings
    )
    return Snapshot(generation, tuple(routes))


def _route(model: ModelSettings, serving: Serving, rollout: Rollout | None) -> ModelRoute:
    if rollout is not None and rollout.epoch < serving.epoch:
        rollout = None  # it ended before this champion was settled
    carrying = rollout is not None and rollout.carrying
    return ModelRoute(
        model=model.name,
        path_prefix=model.path_prefix,
        champion=target_of(model, serving.version),
        candidate=target_of(model, rollout.candidate) if rollout is not None and carrying else None,
        phase=Phase.IDLE if rollout is None else rollout.phase,
        ramp_bp=0 if rollout is None else rollout.share_bp,
        epoch=serving.epoch if rollout is None else rollout.epoch,
        salt="" if rollout is None else rollout.id,
        sticky=model.sticky,
        timeout=model.timeout,
        max_body=model.max_body,
        buffer=model.buffer,
        shadow=model.shadow,
        agreement=model.agreement,
        record=model.record,
        slices=model.slices,
        by_unit=rollout is not None and carrying and any(gate.per == "unit" for gate in rollout.terms.gates),
        host=model.host,
        header=model.header,
        health=model.health,
        max_concurrent=model.max_concurrent,
        doubt_rejections=model.doubt_rejections,
    )


def target_of(model: ModelSettings, version: str) -> Target:
    """The version with its servers. Raises Unroutable."""
    origins = model.servers.get(version)
    if not origins:
        raise Unroutable(model.name, version)
    return Target(version, origins)
