"""Locust as a process: what is said where it does not even begin. What it measures is asked in test_gate_staging."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gates.adapters.load import Load, LoadError, run


def test_a_program_that_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(LoadError, match=r"could not be started: .*No such file"):
        run(Load(), "http://127.0.0.1:1", None)
