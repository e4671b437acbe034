"""Marked fields: where their paths lead in a document, and the values that stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import isfinite

from proxy.redaction.hiding import REDACTED

_ANY, _ANY_DEPTH = "*", "**"
_PLAIN_WORD = re.compile(r"[A-Za-z_]+").fullmatch


class Marks:
    """JSON paths, keys with dots between: `*` is any key, `**` any number of levels; lists are gone through, by index,
    by the `name` of an item (a V2 tensor), or whole; of MLflow's `dataframe_split` a column is known by its name.

    `values` is what has been taken out so far, as text."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._paths = [path.split(".") for path in fields]
        self.values: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._paths)

    def taken_out(self, document: object) -> object:
        """The document without what is marked in it. Raises RecursionError where it is nested too deeply."""
        for path in self._paths:
            document = self._without(document, path)
        return document

    def _without(self, value: object, path: Sequence[str]) -> object:
        if not path:
            self.values.update(_texts(value))
            return REDACTED
        if path[0] == _ANY_DEPTH:
            return self._at_any_depth(value, path)
        if isinstance(value, dict):
            return self._without_keys(self._without_columns(value, path), path)
        if isinstance(value, list):
            return self._without_items(value, path)
        return value

    def _at_any_depth(self, value: object, path: Sequence[str]) -> object:
        value = self._without(value, path[1:])
        if isinstance(value, dict):
            return {key: self._without(item, path) for key, item in value.items()}
        return [self._without(item, path) for item in value] if isinstance(value, list) else value

    def _without_keys(self, value: dict[str, object], path: Sequence[str]) -> object:
        step, *further = path
        return {key: self._without(item, further) if step in (key, _ANY) else item for key, item in value.items()}

    def _without_columns(self, value: dict[str, object], path: Sequence[str]) -> dict[str, object]:
        """The columns of a name, which may be several."""
        step, *further = path
        columns, rows = value.get("columns"), value.get("data")
        if not isinstance(columns, list) or not isinstance(rows, list):
            return value
        places = {place for place, name in enumerate(columns) if str(name) == step}
        return {**value, "data": [self._without_places(row, places, further) for row in rows]} if places else value

    def _without_places(self, row: object, places: set[int], path: Sequence[str]) -> object:
        if not isinstance(row, list):
            return row
        return [self._without(item, path) if place in places else item for place, item in enumerate(row)]

    def _without_items(self, items: list[object], path: Sequence[str]) -> list[object]:
        step, *further = path
        if step == _ANY:
            return [self._without(item, further) for item in items]
        if step.isdecimal():  # an index; or a key of the items, but no index of lists among them
            kept = [self._without_item(item, path) if isinstance(item, dict) else item for item in items]
            return [self._without(item, further) if str(at) == step else item for at, item in enumerate(kept)]
        return [self._without_item(item, path) if isinstance(item, dict | list) else item for item in items]

    def _without_item(self, item: object, path: Sequence[str]) -> object:
        """An item may be what the step names, and hold something of that name as well."""
        step, *further = path
        named = isinstance(item, dict) and item.get("name") == step
        item = self._without(item, path)
        return self._without(item, further) if named else item


def _texts(value: object) -> Iterator[str]:
    """What stands in a value that says something by itself. Keys do, too, but for plain words: names of fields more
    often than of people, they stand in every answer."""
    if isinstance(value, dict):
        yield from (key for key in value if not _PLAIN_WORD(key))
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, float) and isfinite(value):
        yield repr(value)
        if value.is_integer():  # as others write it
            yield str(int(value))
