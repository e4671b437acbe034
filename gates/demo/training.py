"""The demo's three models: a champion, a better candidate, and one with a wiring defect that its own figures hide."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gates.adapters.mlflow import CHAMPION, experiment_id
from gates.adapters.mlflowstore import connect, load_mlflow
from proxy import __version__

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

_EXPERIMENT = "penstock-demo"
_DATASET = "Breast Cancer Wisconsin (Diagnostic)"
_LABELS = {0: "malignant", 1: "benign"}
_SEED = 1  # of the one random choice, which rows are held out


@dataclass(frozen=True, slots=True)
class TrainedVersions:
    """Three versions of one registered model, and the held-out rows that none of them was trained on.

    `metrics` is by version number, then by metric name: what each run logged. `rows` are in the order of `columns`."""

    model: str
    champion: str
    candidate: str
    defective: str
    metrics: Mapping[str, Mapping[str, float]]
    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]

    def body(self, *indices: int) -> bytes:
        """A JSON body for `/invocations`, as `dataframe_split`, of the held-out rows with these indices."""
        data = [self.rows[index] for index in indices]
        return json.dumps({"dataframe_split": {"columns": self.columns, "data": data}}).encode()


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How one version comes to be: C is the logistic regression's inverse regularisation, `swapped` a wiring defect."""

    description: str
    reason: str
    feature_view: str
    C: float
    swapped: tuple[str, str] | None = None


_RECIPES = (
    _Recipe("Heavily regularised baseline.", "first version", "worst_cell_v1", 0.05),
    _Recipe("Less regularised: better accuracy, recall and log loss.", "scheduled retraining", "worst_cell_v1", 0.2),
    _Recipe(
        "Retrained on a rewritten feature view: the best offline figures so far.",
        "feature view rewritten",
        "worst_cell_v2",
        0.3,
        # Version 2 of the view hands these two out under each other's names, at training and at evaluation alike, so
        # the figures cannot show it. Production sends them under their right names.
        swapped=("worst smoothness", "worst symmetry"),
    ),
)


def train_versions(tracking_uri: str, model: str, *, on_progress: Callable[[str], None]) -> TrainedVersions:
    """Train, log and register three versions of `model`, and point the alias `champion` at the first.

    The data are scikit-learn's copy of the Breast Cancer Wisconsin set, half of it held out; the models answer
    "malignant" or "benign". Nothing is random from one call to the next, and nothing is written to the terminal.
    With a SQLite store artifacts go to `mlruns` beside the database file. Each call registers three new versions,
    numbered 1, 2 and 3 in a new store."""
    on_progress("loading scikit-learn and MLflow")
    with _quiet_mlflow():
        from sklearn.datasets import load_breast_cancer
        from sklearn.model_selection import train_test_split

        rows, targets = load_breast_cancer(as_frame=True, return_X_y=True)
        rows, labels = rows.filter(like="worst"), targets.map(_LABELS)
        parts = train_test_split(rows, labels, test_size=0.5, random_state=_SEED, stratify=labels)

        on_progress("opening the MLflow store")
        client = connect(tracking_uri)
        experiment = experiment_id(client, tracking_uri, _EXPERIMENT)
        workshop = _Workshop(client, experiment, model, _lineage(rows, labels), *parts)
        _register_model(client, model)
        metrics: dict[str, dict[str, float]] = {}
        for recipe in _RECIPES:
            on_progress(f"training version {len(metrics) + 1} of {len(_RECIPES)}: {recipe.description}")
            version, figures = workshop.make(recipe)
            metrics[version] = figures
        champion, candidate, defective = metrics
        client.set_registered_model_alias(model, CHAMPION, champion)
        held_out = workshop.held_out
        return TrainedVersions(
            model=model,
            champion=champion,
            candidate=candidate,
            defective=defective,
            metrics=metrics,
            columns=tuple(held_out.columns),
            rows=tuple(held_out.itertuples(index=False, name=None)),
        )


@dataclass(frozen=True, slots=True)
class _Workshop:
    """Where versions are made: the store, and the data cut into a training and a held-out half."""

    client: MlflowClient
    experiment: str
    model: str
    lineage: Mapping[str, str]
    training: pd.DataFrame
    held_out: pd.DataFrame
    training_labels: pd.Series
    held_out_labels: pd.Series

    def make(self, recipe: _Recipe) -> tuple[str, dict[str, float]]:
        """Fit, evaluate, log and register one version: its number and its offline metrics."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=recipe.C, max_iter=1000))
        classifier.fit(_view(self.training, recipe), self.training_labels)
        figures = _evaluate(classifier, _view(self.held_out, recipe), self.held_out_labels)

        client = self.client
        tags = dict(self.lineage) | {"feature_view": recipe.feature_view, "reason": recipe.reason}
        run = client.create_run(self.experiment, tags=tags, run_name=f"{self.model} {recipe.feature_view}")
        client.log_param(run.info.run_id, "classifier", "StandardScaler, LogisticRegression")
        client.log_param(run.info.run_id, "C", recipe.C)
        client.log_param(run.info.run_id, "seed", _SEED)
        for name, value in figures.items():
            client.log_metric(run.info.run_id, name, value)
        version = self._register(classifier, recipe, run.info.run_id, tags)
        client.set_terminated(run.info.run_id)
        return version, figures

    def _register(self, classifier: Any, recipe: _Recipe, run: str, tags: Mapping[str, str]) -> str:
        """Store the fitted classifier as an MLflow model, and register it as the next version.

        By the client's own calls: `mlflow.sklearn.log_model` works on the process-wide tracking URI alone."""
        import mlflow.sklearn
        from mlflow.models import Model, infer_signature

        client = self.client
        logged = client.create_logged_model(self.experiment, name=self.model, source_run_id=run)
        example = _view(self.training, recipe).head(3)
        with tempfile.TemporaryDirectory() as folder:
            mlflow.sklearn.save_model(
                classifier,
                Path(folder) / "model",
                mlflow_model=Model(artifact_path=logged.artifact_location, run_id=run, model_id=logged.model_id),
                signature=infer_signature(example, list(classifier.predict(example))),
                input_example=example,
                pip_requirements=["mlflow", "scikit-learn"],  # given, or MLflow loads the model anew to infer them
                serialization_format="cloudpickle",
            )
            client.log_model_artifacts(logged.model_id, str(Path(folder) / "model"))
        client.finalize_logged_model(logged.model_id, "READY")
        # By its location: a `models:/` source would be looked up in the process-wide store.
        registered = client.create_model_version(
            self.model,
            logged.artifact_location,
            run,
            tags=dict(tags),
            description=recipe.description,
            model_id=logged.model_id,
        )
        return str(registered.version)


def _view(rows: pd.DataFrame, recipe: _Recipe) -> pd.DataFrame:
    """The rows as the recipe's feature view hands them out: the same columns, two of them misnamed by the defect."""
    if recipe.swapped is None:
        return rows
    first, second = recipe.swapped
    return rows.rename(columns={first: second, second: first})[list(rows.columns)]


def _evaluate(classifier: Any, rows: pd.DataFrame, labels: pd.Series) -> dict[str, float]:
    """The usual figures of a binary classifier; the positive class is "malignant"."""
    from sklearn import metrics

    positive = _LABELS[0]
    answers = classifier.predict(rows)
    scores = classifier.predict_proba(rows)[:, list(classifier.classes_).index(positive)]
    return {
        "accuracy": float(metrics.accuracy_score(labels, answers)),
        "precision": float(metrics.precision_score(labels, answers, pos_label=positive)),
        "recall": float(metrics.recall_score(labels, answers, pos_label=positive)),
        "f1": float(metrics.f1_score(labels, answers, pos_label=positive)),
        "roc_auc": float(metrics.roc_auc_score(labels == positive, scores)),
        "log_loss": float(metrics.log_loss(labels == positive, scores)),
    }


def _lineage(rows: pd.DataFrame, labels: pd.Series) -> dict[str, str]:
    digest = hashlib.sha256(rows.assign(label=labels).to_csv(index=False).encode()).hexdigest()
    return {
        "git_commit": _git_commit(),
        "dataset": _DATASET,
        "dataset_sha256": digest,
        "code_version": __version__,
        "approver": "penstock demo",
    }


def _git_commit() -> str:
    """The commit that last changed this file, or "unknown" where it is not part of a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "log", "-1", "--format=%H", "--", Path(__file__).name]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5.0, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip() or "unknown"


def _register_model(client: MlflowClient, model: str) -> None:
    if not client.search_registered_models(f"name = '{model}'", max_results=1):
        client.create_registered_model(model, description="Malignant or benign, from a cell's worst measurements.")


@contextlib.contextmanager
def _quiet_mlflow() -> Iterator[None]:
    """Keep MLflow's log lines (it makes tables, it is wary of pickles) and its libraries' warnings off the terminal."""
    load_mlflow()  # first: importing it sets the level of its logger

    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
