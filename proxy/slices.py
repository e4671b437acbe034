"""For whom: the declared slices of the traffic, and what was seen of each, apart from the whole."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.headers import AnyFields, first
from proxy.snapshot import Slice

OTHER, NONE = "other", "none"
LONGEST_VALUE = 40
_LONGEST_BODY = 256 * 1024

Places = tuple[tuple[str, str], ...]
"""Where a request belongs: (slice, value) for each declared slice."""


def places_of(slices: Sequence[Slice], fields: AnyFields, body: bytes) -> Places:
    """One place in each slice. NONE where the request has no such header or key, OTHER where that is no short text, or
    in a body that is too large to be looked into here."""
    document: object = None
    if any(one.source == "json" for one in slices):
        document = _document(body)
    return tuple((one.name, _value(one, fields, document)) for one in slices)


def _document(body: bytes) -> object:
    if len(body) > _LONGEST_BODY:
        return OTHER
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None


def _value(one: Slice, fields: AnyFields, document: object) -> str:
    if one.source == "header":
        return _named(first(fields, one.key.encode()).decode("latin-1"))
    if document is OTHER:
        return OTHER
    for step in one.key.split("."):
        document = document.get(step) if isinstance(document, dict) else None
    if isinstance(document, bool):
        return str(document).lower()
    return _named(str(document)) if isinstance(document, str | int | float) else NONE


def _named(value: str) -> str:
    if not value:
        return NONE
    return value if len(value) <= LONGEST_VALUE and value.isprintable() else OTHER
