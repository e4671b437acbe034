"""What the keys of every promotion gate have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self, get_args

from pydantic import Field, model_validator

from gates.settings.kinds import Keys, contradiction
from gates.verdict import Severity

Number = Annotated[float, Field(allow_inf_nan=False)]


class RuleKeys(Keys):
    severity: Severity = "critical"
    """A critical gate that fails is a NO-GO; an advisory one only tells."""


class BoundKeys(RuleKeys):
    min: Number | None = None
    """The smallest value that passes, in the metric's own unit."""
    max: Number | None = None
    """The largest value that passes, in the metric's own unit."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise contradiction(f"expected at least min, {self.min:g}", "max")
        return self


def told_by_name(variants: Any) -> Callable[[object], object]:
    """Gives each gate that is named after a metric of its stage that metric, where it does not say."""
    models = get_args(get_args(variants)[0])
    known = {metric for model in models for metric in get_args(model.model_fields["metric"].annotation)}

    def told(rules: object) -> object:
        if not isinstance(rules, dict):
            return rules
        return {
            name: {"metric": name, **rule} if name in known and isinstance(rule, dict) else rule
            for name, rule in rules.items()
        }

    return told


def made(rules: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(rule.gate(name) for name, rule in rules.items())
