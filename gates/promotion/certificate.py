"""A promotion on record: who let which version serve, and all that was known of it then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from gates.promotion.versions import Signature, VersionFacts

LINEAGE = (
    *("git_commit", "git_branch", "dataset", "dataset_commit", "dataset_sha256", "feature_view", "feature_views"),
    *("feature_hash", "code_version", "preprocessing_version", "approver", "reason", "decision_context"),
)


def certificate(
    facts: VersionFacts,
    champion: str,
    by: str,
    reason: str,
    at: float,
    reviews: Sequence[Mapping[str, object]] = (),
    gates: Sequence[Mapping[str, object]] = (),
) -> Mapping[str, object]:
    """As JSON holds it. `at` is wall time in seconds since the epoch; `reviews` are people's, `gates` what each said
    then. What is not known is missing, or null."""
    artifacts = facts.artifacts
    return {
        "model": facts.model,
        "version": facts.version,
        "replaces": champion,
        "promoted_at": datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
        "approver": by,
        "reason": reason,
        "reviews": list(reviews),
        "gates": list(gates),
        "metrics": dict(sorted(facts.metrics.items())),
        "schema_version": None if artifacts is None else schema_version(artifacts.signature),
        "lineage": {name: value for name in LINEAGE if (value := facts.noted(name))},
        "run": facts.run,
        "artifact_sha256": None if artifacts is None else artifacts.digest,
        "checksums": {} if artifacts is None else dict(sorted(artifacts.checksums.items())),
        "trouble": facts.trouble,
    }


def schema_version(signature: Signature | None) -> str | None:
    """Twelve digits that are the same for the same inputs and outputs; None where there is no signature."""
    return None if signature is None else sha256(msgspec.json.encode(signature)).hexdigest()[:12]
