"""What may be kept of a request and its answers: the fields that are marked are taken out, and their values with them,
wherever else they stand."""

from __future__ import annotations

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Sequence
from urllib.parse import unquote_plus

from proxy.formats.reading import Unreadable, parse
from proxy.redaction.hiding import REDACTED, Draft, Hiding, undone, withheld
from proxy.redaction.marks import Marks

__all__ = ["ALWAYS", "LARGEST", "REDACTED", "Draft", "Hiding", "Redaction", "withheld"]

ALWAYS = frozenset(
    ("authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key", "api-key", "apikey", "x-auth-token",
     "x-access-token", "x-csrf-token", "x-amz-security-token", "x-forwarded-client-cert")
)  # fmt: skip
"""Header fields that hold credentials, whatever the configuration says."""
LARGEST = 64 * 1024
"""Bytes of a body that are parsed to take something out of it: more would hold up requests."""
_SHORTEST_PART = 8
_PARTS = re.compile(r"[\s;,=]+")
_LONGEST_TEXT = 2 * LARGEST


class Redaction:
    """One pair's. All of it is read first, as a value that is marked in one place may stand in any other: the request's
    headers, its target, its body, the answers. Then `hiding` writes it.

    `fields` are JSON paths, see `Marks`; `headers` are names in lower case. While any field is marked, a body that is
    no JSON, or too large to be parsed, is withheld."""

    def __init__(self, fields: Sequence[str] = (), headers: Sequence[str] = ()) -> None:
        self.marks = Marks(fields)
        self._headers = ALWAYS | set(headers)
        self._values: set[str] = set()

    def headers(self, section: bytes) -> dict[str, str]:
        """The fields of a header section, lines that end in CR LF; of fields of the same name the last."""
        kept: dict[str, str] = {}
        for line in section.split(b"\r\n"):
            name, colon, value = (_decoded(part) for part in line.partition(b": "))
            if colon and name in self._headers:
                self._remember(value)
                for part in _PARTS.split(value):  # a cookie's value, the token behind its scheme
                    self._remember(part, _SHORTEST_PART)
                kept[name] = REDACTED
            elif colon:
                kept[name] = value
        return kept

    def path(self, target: bytes) -> str:
        """A request's target without its query, which may hold keys."""
        path, _, query = _decoded(target).partition("?")
        for pair in query.split("&"):
            name, _, value = pair.partition("=")
            self._remember(value or name, _SHORTEST_PART)
            self._remember(unquote_plus(value or name), _SHORTEST_PART)
        return path

    def body(self, body: bytes) -> Draft:
        if len(body) <= LARGEST:
            try:
                return self.document(parse(body)) if body else Draft("")
            except Unreadable:
                pass
        if self.marks:
            too_large = len(body) > LARGEST
            return withheld("too large to redact" if too_large else "no JSON, so nothing can be redacted", body)
        try:
            text = getincrementaldecoder("utf-8")().decode(body[:_LONGEST_TEXT])
            return Draft(text, more=len(body[_LONGEST_TEXT:]))
        except UnicodeDecodeError:
            return withheld("binary", body)

    def document(self, document: object) -> Draft:
        """Each value is written in one way."""
        try:
            kept = self.marks.taken_out(document)
            return Draft(json.dumps(kept, ensure_ascii=False, separators=(",", ":")), "json")
        except RecursionError:
            return withheld("nested too deeply", b"")

    def hiding(self) -> Hiding:
        """What to write with, once all is read."""
        for value in self.marks.values:
            self._remember(value)
        return Hiding(self._values)

    def _remember(self, value: str, shortest: int = 0) -> None:
        """A value, as it stands behind escapes, and as servers read it that take UTF-8 for Latin-1."""
        if len(value) < shortest:
            return
        self._values |= {value, undone(value)}
        if not value.isascii():
            self._values.add(value.encode(errors="replace").decode("latin-1"))


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
