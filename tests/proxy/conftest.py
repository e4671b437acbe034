"""A worker in this process, and a champion and a candidate behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxy.helper import client
from tests.servers import Background, ModelServer, eventually
from tests.wire import PATIENCE
from tests.workers import LocalWorker, Scene


@pytest.fixture(scope="session", autouse=True)
def patience_with_the_helper() -> Iterator[None]:
    """It goes behind all others: where they leave it no core, a pair takes it seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "LONGEST", PATIENCE)
        yield


@pytest.fixture(scope="module")
def champion(background: Background) -> Iterator[ModelServer]:
    with ModelServer(background) as server:
        yield server


@pytest.fixture(scope="module")
def candidate(background: Background) -> Iterator[ModelServer]:
    with ModelServer(background) as server:
        yield server


@pytest.fixture(scope="module")
def worker(background: Background) -> Iterator[LocalWorker]:
    with LocalWorker(background) as local:
        yield local


@pytest.fixture
def scene(worker: LocalWorker, champion: ModelServer, candidate: ModelServer) -> Iterator[Scene]:
    made = Scene(worker, champion, candidate)
    yield made
    eventually(worker.idle)
