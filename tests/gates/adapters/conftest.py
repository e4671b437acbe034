from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes import MemoryStore
from tests.gates.adapters.commits import StoreAndOutbox, opened


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
