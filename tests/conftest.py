"""Fixtures for the real servers of tests/servers.py and tests/workers.py."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser

from gates.adapters.mlflowstore import connect
from tests.browser import chromium, program
from tests.postgres import Postgres
from tests.postgres import programs as postgres_programs
from tests.servers import Background
from tests.workers import ControlEnd, Fleet, WorkerProcess

# No test asserts a duration, and neither does hypothesis.
settings.register_profile("penstock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("penstock")


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    started = Background()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def fleet(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with (
        ControlEnd(background) as control,
        WorkerProcess(control.origin, tmp_path_factory.mktemp("worker")) as worker,
    ):
        yield Fleet(control, worker)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For a module and no longer: while Playwright is there, no other event loop can run in this thread."""
    path = program()
    if path is None:
        assert not os.environ.get("PENSTOCK_REQUIRE_SERVICES"), "chromium is missing; .ci/run shows how to get it"
        pytest.skip("chromium is missing")
    with chromium(path) as browser:
        yield browser


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Where services are required, a missing one fails; else it skips."""
    programs = postgres_programs()
    if programs is None:
        assert not os.environ.get("PENSTOCK_REQUIRE_SERVICES"), "initdb is missing; .ci/run shows how to get it"
        pytest.skip("initdb is missing")
    server = Postgres(programs)
    yield server
    server.remove()


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
