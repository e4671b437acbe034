"""One upstream's whole answer, as it came."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.headers import Fields, first


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, the header fields with names in lower case, and the body: None where it was too large to keep."""

    status: int
    fields: Fields
    body: bytes | None

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def encoding(self) -> bytes:
        return first(self.fields, b"content-encoding")
