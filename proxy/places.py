"""Where models are found, by host, path prefix and header: tables in which each look is one lookup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from proxy.rules import require

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch  # of a field, in lower case as ASGI has them


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A request field that has to say exactly this. The name is in lower case."""

    name: str
    value: str

    def __post_init__(self) -> None:
        require(_NAME(self.name) is not None, f"header: {self.name!r} is not a field's name in lower case")
        lawful = self.value.isascii() and self.value.isprintable() and self.value == self.value.strip()
        require(bool(self.value) and lawful, f"header: {self.value!r} is not a value that a client can send")


class Placed(Protocol):
    """What a model is found by."""

    @property
    def model(self) -> str: ...

    @property
    def host(self) -> str: ...

    @property
    def path_prefix(self) -> str: ...

    @property
    def header(self) -> HeaderMatch | None: ...


R = TypeVar("R", bound=Placed)


@dataclass(frozen=True, slots=True)
class Place(Generic[R]):
    """The models at one host and path: told apart by the values of one header, `otherwise` for any other value."""

    header: bytes = b""
    by_value: dict[bytes, R] = field(default_factory=dict)
    otherwise: R | None = None

    @classmethod
    def of(cls, routes: Sequence[R]) -> Place[R]:
        """Raises ValueError where a request could be for two of them."""
        by_header = [(route.header, route) for route in routes if route.header is not None]
        by_value = {header.value.encode(): route for header, route in by_header}
        others = [route for route in routes if route.header is None]
        names = {header.name.encode() for header, _ in by_header}
        apart = len(names) <= 1 and len(others) <= 1 and len(by_value) == len(by_header)
        require(apart, f"snapshot: {' and '.join(route.model for route in routes[:2])} match the same requests")
        return cls(names.pop() if names else b"", by_value, others[0] if others else None)


@dataclass(frozen=True, slots=True)
class Site(Generic[R]):
    """The places of one host, by path prefix without trailing slashes: "/" is "", and "/a/" is "/a"."""

    by_prefix: dict[str, Place[R]]
    longest_prefix: int


def sites_of(routes: Iterable[R]) -> dict[str, Site[R]]:
    """The sites by host, "" for any. Raises ValueError where a request could be for two models."""
    neighbours: dict[str, dict[str, list[R]]] = {}
    for route in routes:
        neighbours.setdefault(route.host, {}).setdefault(route.path_prefix.rstrip("/"), []).append(route)
    return {
        host: Site({prefix: Place.of(together) for prefix, together in by_prefix.items()}, max(map(len, by_prefix)))
        for host, by_prefix in neighbours.items()
    }
