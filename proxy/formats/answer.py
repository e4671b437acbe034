"""One upstream's whole answer, as it came."""

from __future__ import annotations

from typing import Final

from proxy.headers import Fields, first


class Answer:
    """A status, the header fields with names in lower case, and the body: None where it was too large to keep.

    Two are made for each request that is copied: a plain class, compiled, takes a tenth of a frozen dataclass' time."""

    __slots__ = ("body", "fields", "status")

    def __init__(self, status: int, fields: Fields, body: bytes | None) -> None:
        self.status: Final = status
        self.fields: Final = fields
        self.body: Final = body

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Answer):
            return NotImplemented
        return self.status == other.status and self.fields == other.fields and self.body == other.body

    __hash__ = None  # type: ignore[assignment]  # its fields are a list

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def encoding(self) -> bytes:
        return first(self.fields, b"content-encoding")

    def same_as(self, other: Answer) -> bool:
        """Whether both say the same, byte for byte."""
        return self.body == other.body and self.encoding == other.encoding
