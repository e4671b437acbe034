"""The control port is fuzzed by its own OpenAPI document; `make api-fuzz` does it for ten minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.fuzz import fuzz


def test_nothing_is_answered_that_the_document_does_not_tell_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert fuzz(24, tmp_path, examples=3) == 0, capfd.readouterr().out
