"""Which model a request is for, and which variant answers it: the same inputs give the same answer in every process."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, Literal

import msgspec

from proxy.headers import AnyFields, first
from proxy.places import Site
from proxy.snapshot import BASIS_POINTS, ModelRoute, Snapshot, Sticky, Target

Variant = Literal["champion", "candidate"]


class Assignment:
    """Who serves this request, and who gets a copy of it."""

    __slots__ = ("shadow", "target", "variant")

    def __init__(self, variant: Variant, target: Target, shadow: Target | None) -> None:
        self.variant: Final = variant
        self.target: Final = target
        self.shadow: Final = shadow

    @property
    def shadow_variant(self) -> Variant:
        return "candidate" if self.variant == "champion" else "champion"


def match(snapshot: Snapshot, path: str, fields: AnyFields) -> ModelRoute | None:
    """The model that a request is for: its own host before any host, then the longest path prefix at a segment
    boundary, then the header's value before any value. One lookup for each segment, however many models there are."""
    if snapshot.by_host:
        site = snapshot.by_host.get(_host(fields))
        route = _within(site, path, fields) if site is not None else None
        if route is not None:
            return route
    return _within(snapshot.anywhere, path, fields)


def _within(site: Site[ModelRoute], path: str, fields: AnyFields) -> ModelRoute | None:
    by_prefix = site.by_prefix
    if len(path) > site.longest_prefix:
        cut = path.rfind("/", 0, site.longest_prefix + 1)
        path = path[:cut] if cut > 0 else ""
    while True:
        place = by_prefix.get(path)
        if place is not None:
            route = place.by_value.get(first(fields, place.header)) if place.header else None
            route = route or place.otherwise
            if route is not None:
                return route
        if not path:
            return None
        path = path[: path.rfind("/")]


def _host(fields: AnyFields) -> str:
    """The name in `Host`, without its port, in lower case (RFC 9110 section 4.2.3)."""
    host = first(fields, b"host").decode("latin-1").lower()
    name, colon, port = host.rpartition(":")
    name = name if colon and (not port or port.isdigit()) else host
    return name.strip("[]").removesuffix(".")


def unit_of(sticky: Sticky, fields: AnyFields, body: bytes, request_id: bytes) -> bytes:
    """What the request is assigned by: the sticky key where it has one, else the request alone."""
    if sticky.source == "header":
        return first(fields, sticky.name.lower().encode()) or request_id
    if sticky.source == "cookie":
        return _cookie(fields, sticky.name.encode()) or request_id
    if sticky.source == "json":
        return _json_value(body, sticky.name) or request_id
    return request_id


def _cookie(fields: AnyFields, name: bytes) -> bytes:
    for key, value in fields:
        if key == b"cookie":
            for pair in value.split(b";"):
                found, _, content = pair.strip().partition(b"=")
                if found == name:
                    return content
    return b""


def _json_value(body: bytes, path: str) -> bytes:
    """The scalar at a dotted path such as `user.id`, as text; b"" where there is none."""
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return b""
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return str(value).encode() if isinstance(value, str | int | float) else b""


def bucket_of(salt: str, key: bytes) -> int:
    """A unit's bucket, 0 to 9999: a keyed BLAKE2b, so no process, seed or machine changes it."""
    digest = blake2b(key, digest_size=8, key=salt.encode()[:64])
    return int.from_bytes(digest.digest(), "big") % BASIS_POINTS


def lot_of(salt: str, key: bytes) -> int:
    """Drawn as a bucket is, from 0 to 2 ** 48 - 1, which every JSON reader keeps exactly."""
    return int.from_bytes(blake2b(key, digest_size=6, key=salt.encode()[:64]).digest(), "big")


def assign(route: ModelRoute, key: bytes) -> Assignment:
    """Monotone in `ramp_bp`: raising it moves units to the candidate and never one back.

    The sample that is mirrored is drawn by a salt of its own, so that it is independent of the split."""
    candidate = route.candidate
    if candidate is None:
        return Assignment("champion", route.champion, None)
    share = route.shadow.share_bp
    mirrored = share == BASIS_POINTS or (share > 0 and bucket_of("shadow:" + route.salt, key) < share)
    if route.ramp_bp and bucket_of(route.salt, key) < route.ramp_bp:
        return Assignment("candidate", candidate, route.champion if mirrored else None)
    return Assignment("champion", route.champion, candidate if mirrored else None)
