"""The registry port on a real MLflow store (SQLite): every method once, repeated, and interrupted."""

from __future__ import annotations

import contextlib
import math
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.adapters.mlflow import MlflowRegistry, _legal_name
from gates.ports import Registry, RegistryError, RolloutFacts
from tests.gates.adapters.rollouts import (
    BEGAN,
    FACTS,
    MODEL,
    aliases,
    begin,
    runs,
    the_run,
    version,
)


def test_neither_the_module_nor_a_registry_imports_mlflow() -> None:
    program = """
import sys
from gates.adapters.mlflow import MlflowRegistry
MlflowRegistry("sqlite:////nowhere/at/all/mlflow.db")
print([name for name in sys.modules if name.split(".")[0] == "mlflow"])
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_numbers_and_aliases_resolve_to_version_numbers(registry: Registry, client: Any) -> None:
    client.set_registered_model_alias(MODEL, "champion", "3")
    assert registry.resolve(MODEL, "2") == "2"
    assert registry.resolve(MODEL, "@champion") == "3"


@pytest.mark.parametrize(("model", "reference"), [(MODEL, "9"), (MODEL, "@nobody"), (MODEL, "Production"), ("x", "1")])
def test_what_does_not_resolve_is_named_in_one_line(registry: Registry, model: str, reference: str) -> None:
    with pytest.raises(RegistryError) as caught:
        registry.resolve(model, reference)
    message = str(caught.value)
    assert repr(model) in message
    assert repr(reference) in message
    assert "\n" not in message


def test_a_server_out_of_reach_is_a_registry_error_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(
        RegistryError, match=r"127\.0\.0\.1:1 could not resolve '1' of model 'fraud_detector'"
    ) as caught:
        MlflowRegistry("http://ana:s3cret@127.0.0.1:1").resolve(MODEL, "1")
    assert "s3cret" not in str(caught.value)


def test_a_failed_first_call_is_made_anew(empty_mlflow_database: Path, tmp_path: Path) -> None:
    database = shutil.copy(empty_mlflow_database, tmp_path / "old.db")
    registry = MlflowRegistry(f"sqlite:///{database}")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        ((schema,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.execute("UPDATE alembic_version SET version_num = 'an older one'")
        with pytest.raises(RegistryError, match="out-of-date database schema"):
            registry.resolve(MODEL, "1")
        connection.execute("UPDATE alembic_version SET version_num = ?", [schema])  # as `mlflow db upgrade` would
    with pytest.raises(RegistryError, match="not found"):
        registry.resolve(MODEL, "1")


def test_begin_opens_a_run_and_marks_the_candidate(registry: Registry, client: Any) -> None:
    begin(registry)
    run = the_run(client)
    assert run.info.run_name == "fraud_detector 1 -> 2"
    assert run.info.status == "RUNNING"
    assert run.info.start_time == BEGAN * 1000
    assert run.data.params == {"steps": "1,5,10", "shadow percent": "100"}
    expected = {"penstock.rollout": FACTS.rollout, "model": MODEL, "champion": "1", "candidate": "2"}
    assert expected | {"started_by": "ana"} == {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
    assert aliases(client) == {"champion": "1", "candidate": "2"}
    assert version(client, "2").tags == {"penstock.rollout": FACTS.rollout, "stage": "Staging"}
    assert version(client, "2").current_stage == "Staging"
    assert version(client, "1").tags == {}


def test_begin_again_changes_nothing(registry: Registry, client: Any) -> None:
    begin(registry)
    first = the_run(client), aliases(client), version(client, "2").tags
    begin(registry)
    run = the_run(client)
    assert (run.info.run_id, run.data.tags) == (first[0].info.run_id, first[0].data.tags)
    assert (aliases(client), version(client, "2").tags) == first[1:]


def test_each_rollout_has_its_own_run(registry: Registry, client: Any) -> None:
    begin(registry)
    begin(registry, RolloutFacts("fraud_detector-8", MODEL, "1", "3"))
    assert {run.data.tags["penstock.rollout"] for run in runs(client)} == {"fraud_detector-7", "fraud_detector-8"}
    assert aliases(client)["candidate"] == "3"


def test_begin_leaves_a_champion_alias_where_it_is(registry: Registry, client: Any) -> None:
    client.set_registered_model_alias(MODEL, "champion", "3")
    begin(registry)
    assert aliases(client) == {"champion": "3", "candidate": "2"}


@pytest.mark.parametrize("facts", [RolloutFacts("r", MODEL, "1", "9"), RolloutFacts("r", MODEL, "9", "2")])
def test_begin_with_an_unknown_version_writes_nothing(registry: Registry, client: Any, facts: RolloutFacts) -> None:
    with pytest.raises(RegistryError, match=r"could not begin rollout 'r' .*version=9"):
        begin(registry, facts)
    assert runs(client) == []
    assert aliases(client) == {}
    assert version(client, "2").tags == {}


def test_more_parameters_than_mlflow_takes_at_once(registry: Registry, client: Any) -> None:
    parameters = {f"gates/{number}": str(number) for number in range(250)}
    registry.begin(FACTS, parameters, "ana", BEGAN)
    assert the_run(client).data.params == parameters


def test_figures_become_metrics_with_time_and_step(registry: Registry, client: Any) -> None:
    begin(registry)
    registry.measure(FACTS, {"ramp_percent": 1.0, "latency_p99 (ms)": 12.5, "lift": math.inf}, BEGAN + 10.4)
    registry.measure(FACTS, {"ramp_percent": 5.0}, BEGAN + 70.0)
    registry.measure(FACTS, {"ramp_percent": 5.0}, BEGAN + 70.0)  # delivered twice
    run = the_run(client).info.run_id
    points = [(m.value, m.timestamp, m.step) for m in client.get_metric_history(run, "ramp_percent")]
    assert points == [(1.0, (BEGAN + 10.4) * 1000, 10), (5.0, (BEGAN + 70.0) * 1000, 70)]
    assert the_run(client).data.metrics == {"ramp_percent": 5.0, "latency_p99 _ms_": 12.5}


def test_figures_that_overtake_the_beginning_share_its_run(registry: Registry, client: Any) -> None:
    registry.measure(FACTS, {"ramp_percent": 1.0}, BEGAN)
    begin(registry)
    assert the_run(client).data.metrics == {"ramp_percent": 1.0}
    assert the_run(client).data.tags["started_by"] == "ana"


@given(st.text())
def test_any_name_is_made_legal(name: str) -> None:
    from mlflow.utils.validation import _validate_metric

    _validate_metric(_legal_name(name), 1.0, 0, 0)


@pytest.mark.parametrize("name", ["agreement", "p99 latency", "gate/error_rate", "candidate.errors-5xx"])
def test_a_legal_name_stays(name: str) -> None:
    assert _legal_name(name) == name
