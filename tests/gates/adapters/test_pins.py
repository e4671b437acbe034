"""The file of pinned versions."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gates.adapters.pins import write
from gates.state import Serving


def test_it_holds_who_serves_and_whom_to_go_back_to(tmp_path: Path) -> None:
    file = tmp_path / "config" / "model_versions.yaml"
    write(file, [Serving("b", "15", "15", 1), Serving("a", "42", "40", 3, "41", "40")])
    assert yaml.safe_load(file.read_text()) == {
        "models": {"a": {"current": "42", "previous": "41", "fallback": "40"}, "b": {"current": "15"}}
    }
    assert [path.name for path in file.parent.iterdir()] == ["model_versions.yaml"]


def test_a_folder_that_cannot_be_written_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    write(tmp_path / "file" / "model_versions.yaml", [])
    assert "cannot be written" in caplog.text
