"""Fixtures for the real servers of tests/servers.py and tests/workers.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import Background
from tests.workers import ControlEnd, Fleet, WorkerProcess


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
