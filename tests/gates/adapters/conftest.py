from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gates.adapters.mlflow import MlflowRegistry
from gates.adapters.mlflowstore import connect
from gates.ports import Registry
from tests.fakes import MemoryStore
from tests.gates.adapters.commits import StoreAndOutbox, opened
from tests.gates.adapters.rollouts import MODEL


@contextmanager
def _empty(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """A database of the kind that is asked for, that nothing was ever done in."""
    if request.param == "sqlite":
        yield f"sqlite:///{folder}/penstock.db"
        return
    with request.getfixturevalue("postgres").database() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with _empty(request, tmp_path) as made:
        yield made


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def url_or_memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | None]:
    """For suites that hold for a port's fake as well, which None asks for."""
    if request.param == "memory":
        yield None
        return
    with _empty(request, tmp_path) as made:
        yield made


@pytest.fixture
def store(url_or_memory: str | None) -> Iterator[StoreAndOutbox]:
    if url_or_memory is None:
        yield MemoryStore()
        return
    with opened(url_or_memory) as store:
        yield store


@pytest.fixture
def client(tracking_uri: str, tmp_path: Path) -> Any:
    """A client of a store in which the model has versions 1, 2 and 3, and no alias."""
    client = connect(tracking_uri)
    client.create_registered_model(MODEL)
    for _ in range(3):
        client.create_model_version(MODEL, str(tmp_path / "model"))
    return client


@pytest.fixture
def registry(client: Any, tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry under test, in a process whose current folder is somewhere else."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return MlflowRegistry(tracking_uri)
