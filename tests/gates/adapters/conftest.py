from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes import MemoryStore
from tests.gates.adapters.commits import StoreAndOutbox, opened


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that nothing was ever done in."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/penstock.db"
        return
    with request.getfixturevalue("postgres").database() as made:
        yield made


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreAndOutbox]:
    with ExitStack() as stack:
        match request.param:
            case "memory":
                yield MemoryStore()
            case "sqlite":
                yield stack.enter_context(opened(f"sqlite:///{tmp_path}/penstock.db"))
            case "postgresql":
                made = stack.enter_context(request.getfixturevalue("postgres").database())
                yield stack.enter_context(opened(made))
