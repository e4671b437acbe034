"""What is untidy in a registry: by rules that need no more than what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gates.promotion.names import wrong_with
from gates.promotion.rule import Rule
from gates.verdict import GateResult

STANDARD_TAGS = ("team", "owner", "risk", "pii", "compliance", "sla", "data_residency")
_SOURCE = "MLflow registry"


def lint(
    model: str, description: str, champion: str | None, tags: Mapping[str, str], sunset_aliases: Sequence[str]
) -> list[GateResult]:
    """One model: `tags` are its champion's, `sunset_aliases` those that point at deprecated versions."""
    described = [] if description.strip() else ["no description of what the model is for"]
    aliased = [f"alias @{alias} points at a deprecated version" for alias in sunset_aliases]
    found = [
        Rule(name=f"{model}/name").counted(wrong_with(model), "names a product", _SOURCE),
        Rule(name=f"{model}/aliases").counted(aliased, "none points at a deprecated version", _SOURCE),
        Rule(name=f"{model}/description", severity="advisory").counted(described, "is there", _SOURCE),
    ]
    if champion is None:
        found.append(Rule(name=f"{model}/tags", severity="advisory").lacking(0.0, "it has no champion yet", _SOURCE))
    else:
        missing = [f"version {champion} has no tag {name}" for name in STANDARD_TAGS if not tags.get(name)]
        found.append(Rule(name=f"{model}/tags", severity="advisory").counted(missing, "all are there", _SOURCE))
    return found
