"""Values that must not be kept, hidden wherever they stand in a text; and texts in which they are still to be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

REDACTED = "[redacted]"
SHORTEST = 4
"""Characters of a value that is looked for: a shorter one stands everywhere by chance."""
_MOST_COMPARED = 4 * 1024 * 1024
_FEW = 64
_LAYERS = 3
_ESCAPES = re.compile(r'(?:\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))+|(?:%[0-9a-fA-F]{2})+')
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^\s",:\[\]{}]+')  # of JSON: a string, a number, a literal


class Draft(msgspec.Struct, frozen=True):
    """A body as it was read: what is marked is taken out of it, and is still to be hidden where else it stands. `more`
    bytes follow that were not read."""

    text: str
    form: Literal["json", "text", "withheld"] = "text"
    more: int = 0


def withheld(why: str, body: bytes) -> Draft:
    return Draft(f"[withheld: {why}, {len(body)} bytes]" if body else f"[withheld: {why}]", "withheld")


class Hiding:
    """One record's values, which may be thousands: a text is gone through once, whatever their number. Those that begin
    with the same characters are told apart by their lengths.

    What would take too long to look through, and hold up requests, is hidden to its end."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = {value for value in values if len(value) >= SHORTEST}
        lengths: dict[str, set[int]] = {}
        for value in self._values:
            lengths.setdefault(value[:SHORTEST], set()).add(len(value))
        self._lengths = {start: sorted(found, reverse=True) for start, found in lengths.items()}
        self._left = _MOST_COMPARED

    def written(self, draft: Draft, most: int) -> str:
        """A body's text, of which `most` bytes are kept."""
        if draft.form == "withheld":
            return draft.text
        if draft.form == "json":
            text, rest = self._json(draft.text, most)
        else:
            text, rest = self.text(draft.text, most), draft.text[most:]
        return _cut(text, most, draft.more + len(rest.encode(errors="replace")))

    def text(self, text: str, most: int | None = None) -> str:
        """The first `most` characters. A value may stand there behind escapes, or escapes of escapes: where only
        undoing them shows it, the text is kept without them."""
        kept = layer = self._once(text, len(text) if most is None else most)
        for _ in range(_LAYERS):
            bare = undone(layer)
            if bare == layer:
                break
            layer = self._once(bare, len(bare))
            if layer != bare:
                kept = layer
        return kept

    def name(self, name: str) -> str:
        """A name as it is, or none of it."""
        return name if self.text(name) == name else REDACTED

    def _json(self, text: str, most: int) -> tuple[str, str]:
        """JSON, token by token, so that it stays JSON: what begins in the first `most` characters, and the rest as it
        was."""
        if not ("\\" in text or "%" in text or self._places(text, most)):
            return text, ""
        parts: list[str] = []
        end = 0
        for token in _TOKEN.finditer(text):
            if token.start() >= most:
                return "".join(parts), text[end:]
            parts += text[end : token.start()], self._token(token[0])
            end = token.end()
        return "".join(parts) + text[end:], ""

    def _token(self, token: str) -> str:
        if token[0] != '"':
            return token if self._once(token, len(token)) == token else f'"{REDACTED}"'
        plain: str = json.loads(token) if "\\" in token else token[1:-1]
        kept = self.text(plain)
        return token if kept == plain else json.dumps(kept, ensure_ascii=False)

    def _once(self, text: str, most: int) -> str:
        parts: list[str] = []
        end = 0
        for at in self._places(text, most):
            length = self._length_at(text, at) if at >= end else 0
            if length:
                parts += text[end:at], REDACTED
                end = at + length
        return "".join((*parts, text[end:most]))

    def _places(self, text: str, most: int) -> list[int]:
        """Where values may begin. To look for each of a few is quicker than to look at each place."""
        starts = self._lengths
        last = min(most, len(text) - SHORTEST + 1)
        if len(starts) <= min(_FEW, last // 4):
            return sorted(at for start in starts for at in _found(start, text, last + SHORTEST - 1))
        return [at for at in range(last) if text[at : at + SHORTEST] in starts]

    def _length_at(self, text: str, at: int) -> int:
        """Of the longest value that stands there, 0 where none does."""
        lengths = [length for length in self._lengths[text[at : at + SHORTEST]] if length <= len(text) - at]
        self._left -= sum(lengths)
        if self._left < 0:
            return len(text) - at
        return next((length for length in lengths if text[at : at + length] in self._values), 0)


def _found(start: str, text: str, end: int) -> Iterator[int]:
    at = text.find(start, 0, end)
    while at >= 0:
        yield at
        at = text.find(start, at + 1, end)


def _cut(text: str, most: int, more: int) -> str:
    raw = text.encode(errors="replace")
    more += max(0, len(raw) - most)
    kept = raw[:most].decode(errors="ignore")
    return f"{kept} [cut: {more} bytes more]" if more else kept


def undone(text: str) -> str:
    """A text without one layer of JSON's escapes and of URLs'."""
    return _ESCAPES.sub(_plain, text) if "\\" in text or "%" in text else text


def _plain(escapes: re.Match[str]) -> str:
    written = escapes[0]
    if written[0] == "%":
        return bytes.fromhex(written.replace("%", "")).decode(errors="replace")
    return str(json.loads(f'"{written}"'))
