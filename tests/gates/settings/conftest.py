from __future__ import annotations

from pathlib import Path

import pytest

from gates.settings import Settings, load
from tests.gates.settings.files import Load


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    def loaded(text: str) -> Settings:
        path = tmp_path / "penstock.yaml"
        path.write_text(text)
        return load(path)

    return loaded
