"""Disagreements in the store, for real and in the fake; and as MLflow's table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gates.adapters.exhibit import TABLE
from gates.adapters.mlflow import MlflowRegistry
from gates.adapters.mlflowstore import connect
from gates.ports import RolloutFacts
from gates.state import Recorded
from proxy.disagreements import AnswerOnRecord
from tests.gates.adapters.commits import StoreAndOutbox

FACTS = RolloutFacts(rollout="r1", model="m", champion="1", candidate="2")


def pair(id: str, rollout: str = "r1", at: float = 5.0, severity: float = 1.0, model: str = "m") -> Recorded:
    return Recorded(
        id=id, model=model, epoch=1, finding="label", severity=severity, lot=2**48 - 1, rows=1, rows_disagreed=1, row=0,
        largest_gap=0.5, served="champion", request_id="r", method="POST", path="/x", headers={"a": "b"},
        request='{"name":"Zoë\x00"}', champion=AnswerOnRecord("1", 200, "[0]"),
        candidate=AnswerOnRecord("2", 200, "[1]"), rollout=rollout, at=at,
    )  # fmt: skip


def ids(store: StoreAndOutbox, rollout: str = "r1") -> list[str]:
    return sorted(each.id for each in store.recorded(rollout))


def test_a_pair_is_kept_as_it_was_and_goes_when_it_is_outdone(store: StoreAndOutbox) -> None:
    store.record([pair("a"), pair("b"), pair("c", "r2")], [])
    assert next(each for each in store.recorded("r1") if each.id == "a") == pair("a")
    store.record([pair("a", severity=0.5)], ["b", "never there"])
    assert [(each.id, each.severity) for each in store.recorded("r1")] == [("a", 0.5)]
    assert ids(store, "r2") == ["c"]


def test_what_is_old_goes_of_one_model_alone(store: StoreAndOutbox) -> None:
    store.record([pair("old", at=9.0), pair("new", at=10.0), pair("other", at=1.0, model="n")], [])
    store.expire("m", 10.0)
    assert ids(store) == ["new", "other"]


def test_mlflow_shows_them_as_a_table_once(tracking_uri: str, tmp_path: Path) -> None:
    client: Any = connect(tracking_uri)
    client.create_registered_model("m")
    for _ in range(2):
        client.create_model_version("m", str(tmp_path / "model"))
    registry = MlflowRegistry(tracking_uri)
    registry.begin(FACTS, {}, "ana", 1_790_000_000.0)
    for _ in range(2):
        registry.exhibit(FACTS, [pair("mild", severity=0.2), pair("grave", severity=1.9)], 1_790_000_001.0)
    experiment = client.get_experiment_by_name("penstock-rollouts")
    (run,) = client.search_runs([experiment.experiment_id])
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": TABLE, "type": "table"}]
    table = json.loads(Path(client.download_artifacts(run.info.run_id, TABLE, str(tmp_path))).read_text())
    severity, candidate = table["columns"].index("severity"), table["columns"].index("candidate")
    assert [(row[severity], row[candidate]) for row in table["data"]] == [(1.9, "[1]"), (0.2, "[1]")]
