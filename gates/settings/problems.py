"""What is wrong with a configuration: each problem with its file, line and key, and all of them in one error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Key = tuple[str | int, ...]
"""The way to a value: ("models", "fraud_detector", "plan", "steps", 2, "percent")."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. `line` counts from 1; 0 means the file as a whole. `key` is "" at the top of a document."""

    file: Path
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return ": ".join(part for part in (place, self.key, self.message) if part)


@dataclass(frozen=True, slots=True)
class Source:
    """What a configuration was read from: the first file and all that it includes, those that cannot be read among
    them, and a SHA-256, in hex, over what was in them."""

    files: tuple[Path, ...] = ()
    digest: str = ""


class SettingsError(Exception):
    """The configuration cannot be used; `problems` holds all that is wrong with it, and the text a line for each."""

    def __init__(self, problems: Sequence[Problem], source: Source = Source()) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
        self.source = source


def key_text(key: Key) -> str:
    """A key as people write it: models.fraud_detector.plan.steps[2].percent."""
    text = ""
    for step in key:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if re.fullmatch(r"[\w@-]{1,64}", step) else f".{step[:64]!r}"
    return text.removeprefix(".")
