"""The head of a client's request, as it comes in, and what the application gets to see of it."""

from __future__ import annotations

from uvicorn._types import ASGIVersions, HTTPScope

from proxy.headers import Fields, first
from proxy.location import locate

_ASGI: ASGIVersions = {"version": "3.0", "spec_version": "2.3"}


class Head:
    """A target and fields, byte for byte, with the fields' names in lower case."""

    __slots__ = ("expects_100", "fields", "size", "url")

    def __init__(self) -> None:
        self.url = b""
        self.fields: Fields = []
        self.size = 0  # of the fields, in bytes, about
        self.expects_100 = False

    def add(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.fields.append((name, value))
        self.size += len(name) + len(value) + 4
        if name == b"expect" and value.lower() == b"100-continue":
            self.expects_100 = True

    @property
    def bodiless(self) -> bool:
        return first(self.fields, b"content-length") in (b"", b"0") and not first(self.fields, b"transfer-encoding")

    def scope_in(self, connection: HTTPScope, version: str, method: bytes) -> HTTPScope:
        """The application's view of the request; the target stands in `state`, byte for byte as the client sent it.

        Raises RequestRefused for a target that is not safe to forward."""
        target, path, raw_path, query = locate(self.url)
        scope = connection.copy()
        scope["http_version"] = version
        scope["method"] = method.decode("ascii")
        scope["path"] = path
        scope["raw_path"] = raw_path
        scope["query_string"] = query
        scope["headers"] = self.fields
        scope["state"] = {"target": target}
        return scope


def empty_scope(server: tuple[str, int | None] | None, client: tuple[str, int] | None, scheme: str) -> HTTPScope:
    """What all requests of a connection have in common, and room for the rest: copied faster than made anew."""
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": "",
        "server": server,
        "client": client,
        "scheme": scheme,
        "method": "",
        "root_path": "",
        "path": "",
        "raw_path": b"",
        "query_string": b"",
        "headers": [],
        "state": {},
    }
