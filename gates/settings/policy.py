"""The configuration's keys for policy: what callers make of a model's answers, apart from the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from gates.settings import kinds
from gates.settings.kinds import Keys, written

Finite = Annotated[float, Field(allow_inf_nan=False)]
Value = str | bool | int | Finite
Rule = Value | list[Value]


@dataclass(frozen=True, slots=True)
class Policy:
    """What callers make of the model's answers: a score that reaches one of the `thresholds` leads to what that is
    named after, the highest that it reaches counting. `rules` is whatever else they go by."""

    version: str
    thresholds: Mapping[str, float] = field(default_factory=dict)
    rules: Mapping[str, Rule] = field(default_factory=dict)


class PolicyKeys(Keys):
    """What callers make of the model's answers. They ask for it at /api/models/{model}/policy; nobody has to train or
    deploy anything for a change, and each one is on record. Penstock applies none of it to an answer; agreement may be
    judged by a threshold."""

    version: kinds.Title
    """A name for this state of the policy, for callers to write beside their decisions: "2.1"."""
    thresholds: dict[kinds.Name, Finite] = written({})
    """Scores by the names of the decisions that they lead to: {block: 0.7, manual_review: 0.4}."""
    rules: dict[kinds.Name, Rule] = written({})
    """Whatever else callers go by: texts, numbers, true and false, and lists of them."""

    def policy(self) -> Policy:
        return Policy(self.version, dict(self.thresholds), dict(self.rules))
