from __future__ import annotations

import pytest

from gates import channel
from gates.adapters import jwks
from gates.controller import book, lookout
from tests.wire import PATIENCE


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given up in seconds is a thread or a server that hangs; on a busy machine one that is well may be as
    late. Tests of what hangs set their own."""
    monkeypatch.setattr(book, "STORE_SECONDS", PATIENCE)
    monkeypatch.setattr(lookout, "ANSWER_SECONDS", PATIENCE)
    monkeypatch.setattr(jwks, "FETCH_SECONDS", PATIENCE)


@pytest.fixture
def quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that fails is tried again at once."""
    monkeypatch.setattr(channel, "QUICK", (0.0, 0.001, 0.001))
