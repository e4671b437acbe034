"""MLflow stores for the tests: made once, for that takes seconds, and copied for each test."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

from gates.adapters.mlflow import connect


@pytest.fixture(scope="session")
def empty_mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # MLflow's, of SQLAlchemy's
        connect(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def tracking_uri(empty_mlflow_database: Path, tmp_path: Path) -> str:
    """An MLflow store of the test's own: its database, and room for artifacts, in tmp_path."""
    return f"sqlite:///{shutil.copy(empty_mlflow_database, tmp_path / 'mlflow.db')}"
