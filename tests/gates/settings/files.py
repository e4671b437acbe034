"""What the tests of settings write into files, and how they read them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gates.settings import Problem, Settings, SettingsError, load

MINIMAL = """\
models:
  fraud:
    servers: {40: [http://h:1]}
    champion: 40
"""

Load = Callable[[str], Settings]


def settings_or_problems(path: Path) -> Settings | tuple[Problem, ...]:
    try:
        return load(path)
    except SettingsError as error:
        return error.problems


def problems_of(loaded: Load, text: str) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        loaded(text)
    return caught.value.problems
