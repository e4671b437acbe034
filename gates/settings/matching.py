"""Which requests are a model's: by path, and by host and header where they are named. No request is for two models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple

from pydantic import Field, field_validator

from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction, written
from gates.settings.problems import Key, key_text
from proxy.snapshot import HeaderMatch

_ONE = {"minProperties": 1, "maxProperties": 1}


class MatchKeys(Keys):
    """Which requests are the model's: those that fit all that is named here. Where several models fit, its host counts
    for more than its path, the longest path prefix for more than a shorter one, and a header for more than none."""

    path_prefix: kinds.PathPrefix = written("/")
    """The start of their path, whole segments of it."""
    host: kinds.HostName | None = None
    """The host that they ask for, without its port. Without it, any host."""
    header: Annotated[dict[kinds.Header, kinds.HeaderValue], Field(json_schema_extra=_ONE)] | None = None
    """One request header and the value that it has to have, such as {x-model: fraud}."""

    @field_validator("header")
    @classmethod
    def _one(cls, header: dict[str, str] | None) -> dict[str, str] | None:
        if header is not None and len(header) != 1:
            raise contradiction("expected one header and its value, such as {x-model: fraud}")
        return header

    def header_match(self) -> HeaderMatch | None:
        return HeaderMatch(*next(iter(self.header.items()))) if self.header else None


class _Match(NamedTuple):
    """What a model matches by, as far as it can be read: the place, and what is asked of a header there."""

    place: tuple[str, str]
    header: tuple[str, str] | None


def ambiguities(models: object) -> Iterator[tuple[Key, str]]:
    """Where a request could be for two models. Asked of the bare values, so that it is told along with whatever else
    is wrong with the models."""
    owners: dict[_Match, str] = {}
    headers: dict[tuple[str, str], tuple[str, str]] = {}
    for name, model in _mapping(models).items():
        match = _read(_mapping(model).get("match"))
        owner = owners.setdefault(match, name)
        if owner != name:
            yield ("models", name, "match"), f"{_text(owner)} matches the same requests"
        elif match.header:
            header, first = headers.setdefault(match.place, (match.header[0], name))
            if header != match.header[0]:
                said = f"{_text(first)} has the same host and path, and is found by {header}; a request can have both"
                yield ("models", name, "match", "header"), said


def _read(match: object) -> _Match:
    keys = _mapping(match)
    place = str(keys.get("host", "")).lower(), str(keys.get("path_prefix", "/")).rstrip("/")
    for name, value in _mapping(keys.get("header")).items():
        return _Match(place, (name.lower(), str(value)))
    return _Match(place, None)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(model: str) -> str:
    return key_text(("models", model))
