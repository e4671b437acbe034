"""The record of a promotion, in a real registry."""

from __future__ import annotations

import json
from pathlib import Path

from gates.adapters.mlflow import MlflowRegistry
from gates.adapters.mlflowstore import connect
from gates.adapters.versions import MlflowVersions
from gates.ports import RolloutFacts
from gates.promotion.certificate import certificate


def test_it_stands_in_the_rollouts_run(tracking_uri: str, tmp_path: Path) -> None:
    client = connect(tracking_uri)
    client.create_registered_model("m")
    run = client.create_run("0", tags={"git_commit": "ab12"}).info.run_id
    client.log_metric(run, "auc", 0.9)
    for _ in range(2):
        client.create_model_version("m", str(tmp_path / "nowhere"), run)
    facts, registry = RolloutFacts("r", "m", "1", "2"), MlflowRegistry(tracking_uri)
    registry.begin(facts, {}, "ada", 1.0)
    record = certificate(MlflowVersions(tracking_uri).facts("m", "2"), "1", "ada", "all passed", 2.0)
    registry.certify(facts, record, 2.0)
    registry.certify(facts, record, 2.0)
    (rollout,) = client.search_runs([client.get_experiment_by_name("penstock-rollouts").experiment_id])
    kept = json.loads(Path(client.download_artifacts(rollout.info.run_id, "promotion.json", str(tmp_path))).read_text())
    assert (kept["approver"], kept["metrics"], kept["lineage"]) == ("ada", {"auc": 0.9}, {"git_commit": "ab12"})
    assert kept["trouble"]
