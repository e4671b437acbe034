"""How a rollout ends on a real MLflow store: promoted or rolled back, once, late, or broken off."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from gates.ports import Registry, RegistryError
from tests.gates.adapters.rollouts import (
    DECISIONS,
    ENDED,
    FACTS,
    MODEL,
    aliases,
    begin,
    decisions,
    promote,
    roll_back,
    the_run,
    version,
)


def test_promotion(registry: Registry, client: Any, tmp_path: Path) -> None:
    begin(registry)
    promote(registry)
    assert aliases(client) == {"champion": "2"}
    assert version(client, "2").tags == {
        "penstock.rollout": FACTS.rollout,
        "promoted_at": "2026-09-21T15:13:20+00:00",
        "promoted_by": "ben",
        "previous_champion": "1",
        "stage": "Production",
    }
    assert version(client, "1").tags == {"stage": "Archived"}
    assert [version(client, number).current_stage for number in "12"] == ["Archived", "Production"]
    run = the_run(client)
    assert (run.info.status, run.info.end_time) == ("FINISHED", ENDED * 1000)
    assert run.data.tags["outcome"] == "promoted"
    assert run.data.tags["reason"] == "all gates passed"
    assert run.data.tags["decided_by"] == "ben"
    assert decisions(client, tmp_path) == DECISIONS


def test_roll_back(registry: Registry, client: Any, tmp_path: Path) -> None:
    begin(registry)
    roll_back(registry)
    assert aliases(client) == {"champion": "1"}
    assert version(client, "2").tags == {
        "penstock.rollout": FACTS.rollout,
        "rolled_back_at": "2026-09-21T15:13:20+00:00",
        "rolled_back_by": "gates",
        "rollback_reason": "agreement 0.72 < 0.97",
        "stage": "Archived",
    }
    assert version(client, "2").current_stage == "Archived"
    assert version(client, "1").tags == {}
    run = the_run(client)
    assert (run.info.status, run.data.tags["outcome"]) == ("FINISHED", "rolled_back")
    assert decisions(client, tmp_path) == DECISIONS


def test_a_candidate_alias_that_moved_on_is_left_alone(registry: Registry, client: Any) -> None:
    begin(registry)
    client.set_registered_model_alias(MODEL, "candidate", "3")
    roll_back(registry)
    assert aliases(client) == {"champion": "1", "candidate": "3"}


def test_a_roll_back_after_the_promotion_returns_the_champion(registry: Registry, client: Any) -> None:
    begin(registry)
    promote(registry)
    roll_back(registry)
    assert aliases(client) == {"champion": "1"}
    assert [version(client, number).tags["stage"] for number in "12"] == ["Production", "Archived"]
    assert the_run(client).data.tags["outcome"] == "rolled_back"


def test_a_finish_that_broke_off_is_completed_by_the_next(registry: Registry, client: Any, tmp_path: Path) -> None:
    begin(registry)
    (tmp_path / "mlruns").write_text("a file where the artifact folder should be")
    with pytest.raises(RegistryError, match=r"could not finish rollout 'fraud_detector-7' .* as promoted"):
        promote(registry)
    assert the_run(client).info.status == "RUNNING"
    (tmp_path / "mlruns").unlink()
    promote(registry)
    assert the_run(client).info.status == "FINISHED"
    assert aliases(client) == {"champion": "2"}
    assert decisions(client, tmp_path) == DECISIONS


def test_late_repeats_change_nothing(registry: Registry, client: Any) -> None:
    begin(registry)
    promote(registry)
    client.set_registered_model_alias(MODEL, "champion", "3")  # life goes on
    begin(registry)
    promote(registry)
    assert aliases(client) == {"champion": "3"}
    assert version(client, "2").tags["stage"] == "Production"


def unity_catalog_answer(*arguments: Any) -> None:
    from mlflow.store._unity_catalog.registry.rest_store import UcModelRegistryStore

    UcModelRegistryStore.transition_model_version_stage(*arguments, False)


def open_unity_catalog_answer(*arguments: Any) -> None:
    from mlflow.store._unity_catalog.registry.uc_oss_rest_store import UnityCatalogOssStore

    UnityCatalogOssStore.transition_model_version_stage(*arguments, False)


def endpoint_not_found(*arguments: Any) -> None:
    from mlflow.exceptions import RestException

    raise RestException({"error_code": "ENDPOINT_NOT_FOUND", "message": "no such path"})


def permission_denied(*arguments: Any) -> None:
    from mlflow.exceptions import RestException

    raise RestException({"error_code": "PERMISSION_DENIED", "message": "ana may not move stages"})


@pytest.mark.parametrize("answer", [unity_catalog_answer, open_unity_catalog_answer, endpoint_not_found])
def test_a_registry_without_classic_stages_is_content_with_tags(
    registry: Registry, client: Any, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(type(client), "transition_model_version_stage", answer)
    begin(registry)
    promote(registry)
    assert [version(client, number).tags["stage"] for number in "12"] == ["Archived", "Production"]
    assert version(client, "2").current_stage == "None"


def test_any_other_failure_to_move_a_stage_is_told(
    registry: Registry, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(client), "transition_model_version_stage", permission_denied)
    with pytest.raises(RegistryError, match="ana may not move stages"):
        begin(registry)


def test_a_whole_rollout_leaves_the_process_as_it_was(registry: Registry, client: Any, tmp_path: Path) -> None:
    import mlflow

    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        begin(registry)
        promote(registry)
    assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == before
    assert list(Path.cwd().iterdir()) == []
    assert (tmp_path / "mlruns").is_dir()
