"""The demo's models, trained once: what MLflow holds of them, and how they answer to held-out rows."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gates.adapters.mlflowstore import connect
from gates.demo.training import TrainedVersions, train_versions

MODEL = "fraud_detector"


@dataclass(frozen=True)
class Training:
    """One training in a new store: what came of it, and what it said while it went on."""

    versions: TrainedVersions
    client: Any
    folder: Path
    progress: list[str]
    terminal: str

    def registered(self, number: str) -> Any:
        return self.client.get_model_version(MODEL, number)

    def run(self, number: str) -> Any:
        return self.client.get_run(self.registered(number).run_id)

    def answers(self, number: str) -> list[str]:
        """What the registered model says of each held-out row, its columns named as production names them."""
        import mlflow.pyfunc
        import pandas as pd

        model = mlflow.pyfunc.load_model(self.client.get_model_version_download_uri(MODEL, number))
        rows = pd.DataFrame(self.versions.rows, columns=list(self.versions.columns))
        return [str(answer) for answer in model.predict(rows)]

    def agreement(self, number: str) -> float:
        """The share of held-out rows on which this version and the champion agree."""
        pairs = list(zip(self.answers(number), self.answers(self.versions.champion), strict=True))
        return sum(one == other for one, other in pairs) / len(pairs)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    folder = tmp_path_factory.mktemp("training")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    uri = f"sqlite:///{folder}/mlflow.db"
    progress: list[str] = []
    terminal = io.StringIO()
    with (
        contextlib.chdir(elsewhere),
        contextlib.redirect_stdout(terminal),
        contextlib.redirect_stderr(terminal),
        warnings.catch_warnings(record=True) as warned,
    ):
        versions = train_versions(uri, MODEL, on_progress=progress.append)
    terminal.write("".join(str(warning.message) for warning in warned))
    return Training(versions, connect(uri), folder, progress, terminal.getvalue())


def test_three_versions_are_registered_and_described(training: Training) -> None:
    versions = training.versions
    assert (versions.champion, versions.candidate, versions.defective) == ("1", "2", "3")
    assert all(training.registered(number).description for number in "123")
    aliases = training.client.get_registered_model(MODEL).aliases
    assert {alias: str(version) for alias, version in aliases.items()} == {"champion": "1"}


@pytest.mark.parametrize("number", ["1", "2", "3"])
def test_runs_carry_metrics_and_lineage(training: Training, number: str) -> None:
    run = training.run(number)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == training.versions.metrics[number]
    assert set(run.data.metrics) == {"accuracy", "precision", "recall", "f1", "roc_auc", "log_loss"}
    lineage = {"git_commit", "dataset", "dataset_sha256", "code_version", "feature_view", "approver", "reason"}
    assert lineage <= set(run.data.tags)
    assert lineage <= set(training.registered(number).tags)
    assert len(run.data.tags["dataset_sha256"]) == 64


@pytest.mark.parametrize("number", ["1", "2", "3"])
def test_models_carry_signature_and_input_example(training: Training, number: str) -> None:
    from mlflow.models import Model

    model = Model.load(training.client.get_model_version_download_uri(MODEL, number))
    assert tuple(model.signature.inputs.input_names()) == training.versions.columns
    assert [str(kind) for kind in model.signature.outputs.input_types()] == ["DataType.string"]
    assert model.saved_input_example_info["pandas_orient"] == "split"


def test_the_candidate_agrees_with_the_champion_and_is_better(training: Training) -> None:
    assert training.agreement(training.versions.candidate) >= 0.97
    assert better(training.versions.metrics["2"], training.versions.metrics["1"])


def test_the_defective_one_disagrees_though_its_figures_are_the_best(training: Training) -> None:
    assert training.agreement(training.versions.defective) <= 0.9
    assert better(training.versions.metrics["3"], training.versions.metrics["2"])


def better(figures: Any, than: Any) -> bool:
    losses = {"log_loss"}
    return all(figures[name] < than[name] if name in losses else figures[name] > than[name] for name in figures)


def test_held_out_rows_make_request_bodies(training: Training) -> None:
    versions = training.versions
    assert len(versions.rows) >= 200
    body = json.loads(versions.body(0, 7, 7))
    assert body == {
        "dataframe_split": {
            "columns": list(versions.columns),
            "data": [list(versions.rows[0]), list(versions.rows[7]), list(versions.rows[7])],
        }
    }


def test_both_labels_are_answered(training: Training) -> None:
    assert set(training.answers("1")) == {"malignant", "benign"}


def test_progress_goes_to_the_callback_alone(training: Training) -> None:
    assert len(training.progress) == 5
    assert training.terminal == ""


def test_artifacts_stay_beside_the_database(training: Training) -> None:
    assert {entry.name for entry in training.folder.iterdir()} == {"mlflow.db", "mlruns", "elsewhere"}
    assert list((training.folder / "elsewhere").iterdir()) == []


def test_training_again_registers_the_same_models_anew(training: Training) -> None:
    uri = f"sqlite:///{training.folder}/mlflow.db"
    again = train_versions(uri, MODEL, on_progress=lambda _: None)
    assert (again.champion, again.candidate, again.defective) == ("4", "5", "6")
    assert list(again.metrics.values()) == list(training.versions.metrics.values())
    assert again.rows == training.versions.rows
    assert training.client.get_model_version_by_alias(MODEL, "champion").version == 4
