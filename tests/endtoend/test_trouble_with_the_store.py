"""A store that is full, locked or gone: a rollback is in force at once, and on record when the store is back."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.endtoend.controlplane import MODEL, ControlPlane, CountingWorker, configuration, control_plane, trail
from tests.gates.cli.calling import called
from tests.postgres import Postgres
from tests.servers import eventually
from tests.wire import PATIENCE

pytestmark = pytest.mark.timeout(600)  # a start on a busy machine


@contextmanager
def full(control: ControlPlane, database: Path) -> Iterator[None]:
    """No file of the process may grow any more, or be written at all beyond its first byte."""
    limits = resource.prlimit(control.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(control.process.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
    yield
    resource.prlimit(control.process.pid, resource.RLIMIT_FSIZE, limits)


@contextmanager
def locked(control: ControlPlane, database: Path) -> Iterator[None]:
    other = sqlite3.connect(database, timeout=PATIENCE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize("trouble", [full, locked])
def test_an_sqlite_that_takes_nothing(trouble: Callable[..., AbstractContextManager[None]], tmp_path: Path) -> None:
    database = tmp_path / "penstock.db"
    url = f"sqlite:///{database}"
    with control_plane(configuration(tmp_path, url), tmp_path / "log") as control:
        rolled_back_meanwhile(control, url, lambda: trouble(control, database))


def test_a_postgresql_that_is_gone(postgres: Postgres, tmp_path: Path) -> None:
    @contextmanager
    def gone() -> Iterator[None]:
        postgres.stop()
        try:
            yield
        finally:
            postgres.start()

    with ExitStack() as stack:
        url = stack.enter_context(postgres.database())
        control = stack.enter_context(control_plane(configuration(tmp_path, url), tmp_path / "log"))
        rolled_back_meanwhile(control, url, gone)


def rolled_back_meanwhile(control: ControlPlane, url: str, trouble: Callable[[], AbstractContextManager[None]]) -> None:
    """A gate fails while the store is in trouble."""
    control.until_acting()
    worker = CountingWorker()
    worker.follow(control)
    before = trail(url)
    with trouble():
        eventually(lambda: control.without_store)
        assert control.command("pause", "ada") == 503, "nothing but a rollback is decided"
        worker.traffic(10, failures=10)
        assert worker.push(control)
        worker.follow(control, candidate=False)
        assert control.phase() == "rolled_back"
        shown = called("status", "--control", str(control.client.base_url), cwd=Path.cwd()).stdout
        assert shown.startswith("✘ the store fails: "), "whoever is on call reads it first"
    eventually(lambda: control.acting)
    rows = eventually(lambda: trail(url)[len(before) :])
    assert [(link.row.event, link.row.by) for link in rows] == [("roll_back", "controller")]
    assert control.client.get(f"/api/models/{MODEL}").json()["generation"] == rows[0].row.generation
