"""Two signatures, column by column: can the candidate answer what the champion is asked, in the champion's form?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from gates.promotion.versions import Column, Signature


@dataclass(frozen=True, slots=True)
class Fit:
    """One column on one side; None where a model does not have it."""

    side: Literal["input", "output"]
    name: str
    champion: Column | None
    candidate: Column | None

    @property
    def fits(self) -> bool:
        """An input that the champion takes must be taken, in its type; a new one may not be required. Outputs are the
        same."""
        if self.champion is None:
            return self.side == "input" and self.candidate is not None and not self.candidate.required
        if self.candidate is None or self.candidate.type != self.champion.type:
            return False
        return self.side == "output" or self.champion.required or not self.candidate.required

    def __str__(self) -> str:
        named = f"{self.side} {self.name}"
        if self.candidate is None:
            return f"{named}: missing, {_written(self.champion)} asked"
        if self.champion is None:
            return f"{named}: new, {_written(self.candidate)}"
        if _written(self.champion) == _written(self.candidate):
            return f"{named}: {_written(self.candidate)}"
        return f"{named}: {_written(self.candidate)}, the champion's is {_written(self.champion)}"


def compare(champion: Signature, candidate: Signature) -> list[Fit]:
    """Every column of either, the champion's order first. Columns match by name, as MLflow enforces them."""
    return [
        *_side("input", _by_name(champion.inputs), _by_name(candidate.inputs)),
        *_side("output", _by_name(champion.outputs), _by_name(candidate.outputs)),
    ]


def _side(side: Literal["input", "output"], theirs: Mapping[str, Column], ours: Mapping[str, Column]) -> Iterable[Fit]:
    for name in {**theirs, **ours}:
        yield Fit(side, name, theirs.get(name), ours.get(name))


def _by_name(columns: Iterable[Column]) -> dict[str, Column]:
    return {column.name or str(place): column for place, column in enumerate(columns)}


def _written(column: Column | None) -> str:
    if column is None:
        return "nothing"
    return column.type if column.required else f"{column.type}, optional"
