"""What is to be ignored, wherever it stands in the rows of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast


def without(rows: Sequence[object], ignored: Sequence[str]) -> Sequence[object]:
    """The rows without what stands at any of the paths. Raises RecursionError."""
    pruned = list(rows)
    for path in ignored:
        pruned = [_pruned(row, path.split(".")) for row in pruned]
    return pruned if isinstance(rows, list) else tuple(pruned)


def _pruned(value: object, path: Sequence[str]) -> object:
    """The value without what stands at `path`; lists on the way are gone through, `*` is any key, and `**` any number
    of levels."""
    if isinstance(value, list):
        return [_pruned(item, path) for item in value]
    if not isinstance(value, dict):
        return value
    step, *further = path
    if step == "**" and further:
        here = cast("dict[str, object]", _pruned(value, further))
        return {key: _pruned(item, path) for key, item in here.items()}
    if not further:
        return {key: item for key, item in value.items() if step not in (key, "*")}
    return {key: _pruned(item, further) if step in (key, "*") else item for key, item in value.items()}
