"""The record of a promotion."""

from __future__ import annotations

import json

from gates.promotion.certificate import certificate, schema_version
from gates.promotion.versions import Artifacts, Column, Signature, VersionFacts

AMOUNT = Signature((Column("amount", "double"),), (Column("", "long"),))


def test_it_holds_all_that_was_known() -> None:
    artifacts = Artifacts({"MLmodel": "1" * 64}, {"MLmodel": 3}, AMOUNT)
    tags = {"git_commit": "ab12", "dataset": "unknown", "approver": "@meera"}
    facts = VersionFacts("m", "42", {"auc": 0.9}, tags, run="r", artifacts=artifacts)
    record = certificate(facts, "40", "ada", "all gates passed", 1_700_000_000.0)
    assert json.loads(json.dumps(record)) == record
    assert record["promoted_at"] == "2023-11-14T22:13:20+00:00"
    assert (record["approver"], record["replaces"], record["metrics"]) == ("ada", "40", {"auc": 0.9})
    assert record["lineage"] == {"git_commit": "ab12", "approver": "@meera"}
    assert (record["artifact_sha256"], record["checksums"]) == (artifacts.digest, {"MLmodel": "1" * 64})
    assert record["schema_version"] == schema_version(AMOUNT)


def test_what_is_not_known_is_said_to_be_so() -> None:
    record = certificate(VersionFacts("m", "42", trouble="connection refused"), "40", "ada", "", 0.0)
    assert (record["schema_version"], record["artifact_sha256"], record["trouble"]) == (
        None,
        None,
        "connection refused",
    )


def test_another_schema_has_another_version() -> None:
    other = Signature((Column("amount", "long"),), (Column("", "long"),))
    assert schema_version(AMOUNT) != schema_version(other)
