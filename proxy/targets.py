"""Who answers for a model: versions, their servers, and how a server proves who it is and that it is well."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.rules import is_host, is_printable, require

_TARGET = re.compile(r"/[!-~]{0,1023}").fullmatch


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """How an upstream proves who it is, and we who we are. Paths of PEM files on the worker's machine: `ca` in place of
    the system's authorities, and our `certificate`, with its `key` where that is not in the same file. `server_name` is
    whom the upstream's certificate has to name, if not the origin's host."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""

    def __post_init__(self) -> None:
        require(bool(self.certificate) or not self.key, "tls: a key needs a certificate")
        require(not self.server_name or is_host(self.server_name), "tls: server_name is not a host's name")


@dataclass(frozen=True, slots=True)
class Origin:
    """One upstream base URL, `http://host:port`, or with `tls` `https://host:port`. Requests keep their own path; an
    origin adds none."""

    host: str
    port: int
    tls: UpstreamTls | None = None

    def __post_init__(self) -> None:
        require(is_host(self.host), f"origin: {self.host!r} is not a host name or address")
        require(0 < self.port < 65_536, f"origin: port {self.port} is not between 1 and 65535")

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Raises ValueError for anything but `http://host[:port]` or `https://host[:port]`, an optional trailing slash
        included."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        require(secure or parts.scheme == "http", f"{url!r}: expected http://host:port or https://host:port")
        bare = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
        require(bare, f"{url!r}: expected no path, query or user, only http://host:port")
        require(parts.hostname is not None, f"{url!r}: expected http://host:port")
        port = (443 if secure else 80) if parts.port is None else parts.port
        return cls(parts.hostname or "", port, UpstreamTls() if secure else None)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A pinned version and the servers that answer for it."""

    version: str
    origins: tuple[Origin, ...]

    def __post_init__(self) -> None:
        require(is_printable(self.version), f"target: version {self.version!r} is empty or not printable")
        require(bool(self.origins), f"target: version {self.version} has no server")


@dataclass(frozen=True, slots=True)
class HealthProbe:
    """How the servers of a model are asked whether they are well, apart from all traffic. Times are in seconds; so many
    answers in a row, none of 2xx or all of it, change what is held of a server."""

    path: str
    interval: float = 5.0
    timeout: float = 1.0
    unhealthy_after: int = 3
    healthy_after: int = 2

    def __post_init__(self) -> None:
        lawful = _TARGET(self.path) is not None
        require(lawful, f"health: path {self.path!r} is not one that can be asked for")
        require(0 < self.interval < math.inf, "health: interval must be above 0, and finite")
        require(0 < self.timeout < math.inf, "health: timeout must be above 0, and finite")
        require(self.unhealthy_after > 0 and self.healthy_after > 0, "health: at least one answer has to be waited for")
