"""Where things stand: the controller's view of the store's present, and what a commit makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gates.rollout import Rollout
from gates.state import UNROUTED, Commit, Serving, State, Trial
from proxy.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Standing:
    """Immutable; a commit gives a new one. `servings` and `rollouts` (each model's newest) are by model."""

    snapshot: Snapshot
    servings: Mapping[str, Serving]
    rollouts: Mapping[str, Rollout]
    tried: frozenset[Trial]

    @classmethod
    def of(cls, state: State) -> Standing:
        return cls(
            state.snapshot,
            {serving.model: serving for serving in state.servings},
            {rollout.model: rollout for rollout in state.rollouts},
            state.tried,
        )

    @property
    def generation(self) -> int:
        return self.snapshot.generation

    def after(self, commit: Commit) -> Standing:
        kept = {model: serving for model, serving in self.servings.items() if model not in commit.gone}
        return Standing(
            commit.snapshot,
            kept | {serving.model: serving for serving in commit.servings},
            {**self.rollouts, **{rollout.model: rollout for rollout in commit.rollouts}},
            self.tried | {trial_of(rollout) for rollout in commit.rollouts},
        )


NOWHERE = Standing(UNROUTED, {}, {}, frozenset())


def trial_of(rollout: Rollout) -> Trial:
    return Trial(rollout.model, rollout.champion, rollout.candidate)
