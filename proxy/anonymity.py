"""Which names the outputs of a model may be told by: none that the request holds, while anything of it is marked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from urllib.parse import unquote_to_bytes

import msgspec

from proxy.formats import Answer, Unreadable
from proxy.formats.encodings import decoded
from proxy.formats.reading import parse
from proxy.snapshot import AgreementSpec

SEARCHED = 16 * 1024
"""Bytes of a request that are searched: the loop is held up for as long as that takes."""
_SHORTEST = 4
_SHORTEST_PART = 8
_PARTS = re.compile(rb"[\s;,=&?]+")


class Veil(msgspec.Struct, frozen=True):
    """A request of which something is marked to be taken out, be it headers or JSON paths (`fields`). Without a `body`
    it is too long to be searched."""

    head: bytes
    body: bytes | None
    fields: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.head) + len(self.body or b"")


def veil(head: bytes, body: bytes, fields: tuple[str, ...]) -> Veil:
    return Veil(head, body, fields) if len(head) + len(body) <= SEARCHED else Veil(b"", None)


class Names:
    """The names of one pair's outputs. Total.

    A name that stands anywhere in the request is not told, nor is one in which a value of the request stands. None is
    told where that cannot be seen: of a body that is no plain JSON, or beside an answer that has a marked field itself.
    Those of less than four characters are, as they stand everywhere by chance, and those of `classes`."""

    def __init__(self, veil: Veil, champion: Answer, other: Answer, spec: AgreementSpec, path: bytes) -> None:
        self._veil = veil
        self._answers = (champion, other)
        self._most_body = spec.max_body
        self._path = path
        self._known = dict.fromkeys(spec.classes, True)

    def may_tell(self, name: str) -> bool:
        if len(name) < _SHORTEST:
            return True
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._stands_nowhere(name)
        return known

    def _stands_nowhere(self, name: str) -> bool:
        if self._request is None:
            return False
        text, values = self._request
        plain = name.encode(errors="replace").lower()
        ways = {plain, json.dumps(name, ensure_ascii=False)[1:-1].encode(errors="replace").lower()}
        ways.add(name.encode("latin-1", "replace").lower())  # as a header has it
        return not (any(way in text for way in ways) or values.stand_in(plain))

    @cached_property
    def _request(self) -> tuple[bytes, _Values] | None:
        """All that it holds, and its values; in lower case, as models may change it."""
        body = self._veil.body
        if body is None or any(map(self._has_marked, self._answers)):
            return None
        try:
            document = parse(body) if body else None
            # A key that stands twice is parsed once, and a character may be escaped in many ways: so both.
            plain = body + b"\n" + json.dumps(document, ensure_ascii=False).encode(errors="replace")
            values = [value.encode(errors="replace").lower() for value in _scalars(document)]
        except (Unreadable, RecursionError):
            return None
        if b'"b64"' in plain:
            return None
        head = unquote_to_bytes(self._veil.head + b"\n" + self._path.replace(b"+", b" ")).lower()
        values += (part for part in _PARTS.split(head) if len(part) >= _SHORTEST_PART)
        return head + b"\n" + plain.lower(), _Values(values)

    def _has_marked(self, answer: Answer) -> bool:
        marks = [*_marks(self._veil.fields)]
        if not marks:
            return False
        try:
            body = answer.body or b""
            if answer.encoding:
                body = decoded(body, answer.encoding.decode("latin-1").lower(), self._most_body)
        except Unreadable:
            return True
        body = body.lower()
        return any(mark in body for mark in marks)


class _Values:
    """Texts to be found in others, by how they begin: there may be a thousand of them."""

    def __init__(self, values: Iterable[bytes]) -> None:
        self._by_beginning: dict[bytes, list[bytes]] = {}
        for value in values:
            if len(value) >= _SHORTEST:
                self._by_beginning.setdefault(value[:_SHORTEST], []).append(value)

    def stand_in(self, text: bytes) -> bool:
        """Whether any of them does."""
        return any(
            text.startswith(value, at)
            for at in range(len(text) - _SHORTEST + 1)
            for value in self._by_beginning.get(text[at : at + _SHORTEST], ())
        )


def _marks(fields: tuple[str, ...]) -> Iterator[bytes]:
    """The last key of each path, in each of the ways in which JSON may write it; a path without a key is everywhere."""
    for path in fields:
        keys = [step for step in path.split(".") if step.strip("*") and not step.isdigit()]
        for escaped in (True, False):
            yield json.dumps(keys[-1], ensure_ascii=escaped).encode().lower() if keys else b""


def _scalars(document: object) -> Iterator[str]:
    """The texts and the whole numbers. Raises RecursionError."""
    if isinstance(document, dict | list):
        for item in document.values() if isinstance(document, dict) else document:
            yield from _scalars(item)
    elif isinstance(document, str):
        yield document
    elif isinstance(document, int):
        yield json.dumps(document)
