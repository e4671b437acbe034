"""What may be kept of a request and its answers: the fields that are marked are taken out, and their values with them,
wherever else they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote_plus

from proxy.formats.reading import Unreadable, parse

REDACTED = "[redacted]"
ALWAYS = frozenset(
    ("authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key", "api-key", "apikey", "x-auth-token",
     "x-access-token", "x-csrf-token", "x-amz-security-token", "x-forwarded-client-cert")
)  # fmt: skip
"""Header fields that hold credentials, whatever the configuration says."""
LARGEST = 64 * 1024
"""Bytes of a body that are parsed to take something out of it: more would hold up requests."""
_SHORTEST_SECRET = 4
_SHORTEST_PART = 8
_PARTS = re.compile(r"[\s;,=]+")
_ANY, _ANY_DEPTH = "*", "**"


class Redaction:
    """One pair's: what it takes out of the request, it takes out of the answers, too. The request comes first:
    its headers, its body, its path.

    `fields` are JSON paths, keys with dots between: `*` is any key, `**` any number of levels; lists are gone through,
    by index, by the `name` of an item (a V2 tensor), or whole; of MLflow's `dataframe_split` a column is known by its
    name. `headers` are names in lower case. A body that is no JSON, or too large to be parsed, is withheld while any
    field is marked."""

    def __init__(self, fields: Sequence[str] = (), headers: Sequence[str] = ()) -> None:
        self._paths = [path.split(".") for path in fields]
        self._headers = ALWAYS | set(headers)
        self._secrets: set[str] = set()

    def headers(self, section: bytes) -> dict[str, str]:
        """The fields of a header section, lines that end in CR LF; of fields of the same name the last."""
        kept: dict[str, str] = {}
        for line in section.decode("latin-1").split("\r\n"):
            name, colon, value = line.partition(": ")
            if colon and name in self._headers:
                self._remember(value)
                for part in _PARTS.split(value):  # a cookie's value, the token behind its scheme
                    self._remember(part, _SHORTEST_PART)
                kept[name] = REDACTED
            elif colon:
                kept[name] = value
        return {name: self.text(value) for name, value in kept.items()}

    def path(self, target: bytes) -> str:
        """A request's target without its query, which may hold keys."""
        path, _, query = target.decode("latin-1").partition("?")
        for pair in query.split("&"):
            value = pair.partition("=")[2]
            self._remember(value, _SHORTEST_PART)
            self._remember(unquote_plus(value), _SHORTEST_PART)
        return self.text(path)

    def body(self, body: bytes, most: int) -> str:
        """A body's text, of which `most` bytes are kept."""
        if not body:
            return ""
        if len(body) <= LARGEST:
            try:
                return self.document(parse(body), most)
            except Unreadable:
                pass
        if self._paths:
            return withheld(
                "too large to redact" if len(body) > LARGEST else "no JSON, so nothing can be redacted", body
            )
        try:
            return _cut(self.text(body[: 2 * LARGEST].decode()), most)
        except UnicodeDecodeError:
            return withheld("binary", body)

    def document(self, document: object, most: int) -> str:
        """A document's text, of which `most` bytes are kept; each value is written in one way."""
        try:
            for path in self._paths:
                document = self._without(document, path)
            return _cut(self.text(json.dumps(document, ensure_ascii=False, separators=(",", ":"))), most)
        except RecursionError:
            return withheld("nested too deeply", b"")

    def text(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, REDACTED)
        return text

    def _without(self, value: object, path: Sequence[str]) -> object:
        if not path:
            for secret in _scalars(value):
                self._remember(secret)
            return REDACTED
        if path[0] == _ANY_DEPTH:
            return self._at_any_depth(value, path)
        if isinstance(value, dict):
            return self._without_keys(value, path)
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
        columns, rows = value.get("columns"), value.get("data")
        if isinstance(columns, list) and isinstance(rows, list) and step in columns:
            at = columns.index(step)
            return {**value, "data": [self._without_item(row, at, further) for row in rows]}
        return {key: self._without(item, further) if step in (key, _ANY) else item for key, item in value.items()}

    def _without_items(self, value: list[object], path: Sequence[str]) -> object:
        step, *further = path
        if step.isdigit():
            return self._without_item(value, int(step), further)
        if step == _ANY:
            return [self._without(item, further) for item in value]
        return [
            self._without(item, further if isinstance(item, dict) and item.get("name") == step else path)
            for item in value
        ]

    def _without_item(self, row: object, at: int, path: Sequence[str]) -> object:
        if not isinstance(row, list):
            return row
        return [self._without(item, path) if place == at else item for place, item in enumerate(row)]

    def _remember(self, secret: str, shortest: int = _SHORTEST_SECRET) -> None:
        """A secret, in each of the ways in which JSON may write it. A short one stands everywhere by chance."""
        if len(secret) >= shortest:
            self._secrets |= {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}


def withheld(why: str, body: bytes) -> str:
    return f"[withheld: {why}, {len(body)} bytes]" if body else f"[withheld: {why}]"


def _scalars(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _scalars(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield json.dumps(value)


def _cut(text: str, most: int) -> str:
    raw = text.encode(errors="replace")
    if len(raw) <= most:
        return raw.decode()
    return f"{raw[:most].decode(errors='ignore')} [cut: {len(raw) - most} bytes more]"
