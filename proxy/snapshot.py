"""The immutable routing truth: one Snapshot tells a worker all that it may do with a request.

A value that breaks a rule cannot be constructed: each __post_init__ raises ValueError with the field's name. The JSON
codec is the wire format between the planes and the format of the worker's disk cache.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec

BASIS_POINTS = 10_000
MOST_ON_RECORD = 64 * 1024
MOST_SLICE_VALUES = 100
_HOST = re.compile(r"[A-Za-z0-9._:-]+").fullmatch
_TARGET = re.compile(r"/[!-~]{0,1023}").fullmatch
_JSON_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*").fullmatch
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch  # of a field, in lower case as ASGI has them


class Phase(StrEnum):
    """Where a model's rollout stands, as the data plane and its clients see it."""

    IDLE = "idle"
    SHADOW = "shadow"
    RAMP = "ramp"
    BAKE = "bake"
    PAUSED = "paused"
    AWAITING_APPROVAL = "awaiting_approval"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


def _fits_header(name: str) -> bool:
    """Whether a name can stand in an `x-penstock-*` field."""
    return bool(name) and name.isprintable()


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


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
        _require(bool(self.certificate) or not self.key, "tls: a key needs a certificate")
        _require(not self.server_name or _HOST(self.server_name) is not None, "tls: server_name is not a host's name")


@dataclass(frozen=True, slots=True)
class Origin:
    """One upstream base URL, `http://host:port`, or with `tls` `https://host:port`. Requests keep their own path; an
    origin adds none."""

    host: str
    port: int
    tls: UpstreamTls | None = None

    def __post_init__(self) -> None:
        _require(_HOST(self.host) is not None, f"origin: {self.host!r} is not a host name or address")
        _require(0 < self.port < 65_536, f"origin: port {self.port} is not between 1 and 65535")

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Raises ValueError for anything but `http://host[:port]` or `https://host[:port]`, an optional trailing slash
        included."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        _require(secure or parts.scheme == "http", f"{url!r}: expected http://host:port or https://host:port")
        bare = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
        _require(bare, f"{url!r}: expected no path, query or user, only http://host:port")
        _require(parts.hostname is not None, f"{url!r}: expected http://host:port")
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
        _require(_fits_header(self.version), f"target: version {self.version!r} is empty or not printable")
        _require(bool(self.origins), f"target: version {self.version} has no server")


@dataclass(frozen=True, slots=True)
class Sticky:
    """Where a request's unit of assignment is found; `request` makes each request its own unit."""

    source: Literal["request", "header", "cookie", "json"] = "request"
    name: str = ""

    def __post_init__(self) -> None:
        _require((self.source == "request") == (not self.name), f"sticky: {self.source} with name {self.name!r}")


@dataclass(frozen=True, slots=True)
class ShadowPolicy:
    """How much of the traffic is copied, and the bounds that keep the copies harmless. Times are in seconds. With
    `paths`, only requests are copied whose path ends with one of them."""

    share_bp: int = BASIS_POINTS
    max_in_flight: int = 256
    max_bytes: int = 64 * 1024 * 1024
    timeout: float = 2.0
    methods: tuple[str, ...] = ("POST",)
    paths: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(0 <= self.share_bp <= BASIS_POINTS, f"shadow: share_bp {self.share_bp} is not between 0 and 10000")
        _require(self.max_in_flight > 0, "shadow: max_in_flight must be at least 1")
        _require(self.max_bytes > 0, "shadow: max_bytes must be at least 1")
        _require(0 < self.timeout < math.inf, "shadow: timeout must be above 0, and finite")


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
        _require(lawful, f"health: path {self.path!r} is not one that can be asked for")
        _require(0 < self.interval < math.inf, "health: interval must be above 0, and finite")
        _require(0 < self.timeout < math.inf, "health: timeout must be above 0, and finite")
        _require(
            self.unhealthy_after > 0 and self.healthy_after > 0, "health: at least one answer has to be waited for"
        )


Kind = Literal["auto", "label", "probability", "numeric", "ranking", "embedding", "text", "json"]
Format = Literal["auto", "mlflow", "kserve_v1", "tf_serving", "v2", "openai", "json"]
Precision = Literal["float64", "float32", "float16"]


@dataclass(frozen=True, slots=True)
class AgreementSpec:
    """When two predictions count as the same, where they are found, and what finding out may cost.

    Measured numbers agree by |a - b| <= absolute + relative * |a|, a being the champion's, and within what `precision`
    can tell apart. `classes` is the order in which a vector of probabilities has its labels. `path` leads to the
    predictions of a plain JSON answer, and `ignore` to what is left out of each of them; both are keys with dots
    between. Probabilities on two sides of `threshold` are two decisions. `min_overlap` is of the first `top_k` places
    of a ranking, of an embedding's `top_k` neighbours, or of a text's words; `min_correlation` is Spearman's, of a
    ranking. `cpu_bp` is the share of a worker's time for comparing, and `noise_bp` the share of the requests that the
    champion gets twice, both in basis points."""

    relative: float = 0.01
    absolute: float = 0.001
    max_body: int = 1024 * 1024
    kind: Kind = "auto"
    format: Format = "auto"
    path: str = ""
    ignore: tuple[str, ...] = ()
    precision: Precision = "float64"
    classes: tuple[str, ...] = ()
    threshold: float = 0.5
    top_k: int = 10
    min_overlap: float = 0.8
    min_correlation: float = 0.8
    cpu_bp: int = 2000
    noise_bp: int = 0

    def __post_init__(self) -> None:
        _require(self.relative >= 0 and self.absolute >= 0, "agreement: tolerances must not be negative")
        _require(self.max_body >= 0, "agreement: max_body must not be negative")
        _require(self.kind in get_args(Kind), f"agreement: unknown kind {self.kind!r}")
        _require(self.format in get_args(Format), f"agreement: unknown format {self.format!r}")
        _require(self.precision in get_args(Precision), f"agreement: unknown precision {self.precision!r}")
        _require(not self.path or self.format == "json", "agreement: a path needs format json")
        _require(all(map(_JSON_PATH, (self.path or "x", *self.ignore))), "agreement: a path is keys with dots between")
        _require(not self.classes or self.kind == "label", "agreement: classes need kind label")
        _require(len(set(self.classes)) == len(self.classes), "agreement: a class stands twice")
        _require(0 < self.threshold < 1, "agreement: threshold must be between 0 and 1")
        _require(self.top_k > 0, "agreement: top_k must be at least 1")
        _require(0 <= self.min_overlap <= 1, "agreement: min_overlap must be between 0 and 1")
        _require(-1 <= self.min_correlation <= 1, "agreement: min_correlation must be between -1 and 1")
        for name, share in (("cpu_bp", self.cpu_bp), ("noise_bp", self.noise_bp)):
            _require(0 <= share <= BASIS_POINTS, f"agreement: {name} {share} is not between 0 and 10000")


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A request field that has to say exactly this. The name is in lower case."""

    name: str
    value: str

    def __post_init__(self) -> None:
        _require(_NAME(self.name) is not None, f"header: {self.name!r} is not a field's name in lower case")
        lawful = self.value.isascii() and self.value.isprintable() and self.value == self.value.strip()
        _require(bool(self.value) and lawful, f"header: {self.value!r} is not a value that a client can send")


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the traffic to be looked at by itself: by the values of a request header (in lower case) or of a key in
    its JSON body. The first `most` values that a worker meets have a count each, all others one together."""

    name: str
    source: Literal["header", "json"]
    key: str
    most: int = 20

    def __post_init__(self) -> None:
        _require(bool(self.name) and bool(self.key), "slice: name and key must not be empty")
        _require(self.source != "header" or self.key == self.key.lower(), "slice: a header is in lower case")
        _require(0 < self.most <= MOST_SLICE_VALUES, f"slice: most is not between 1 and {MOST_SLICE_VALUES}")


@dataclass(frozen=True, slots=True)
class RecordPolicy:
    """What is kept of pairs whose answers differ: of each finding the `keep` worst, and `keep` of all alike; 0 keeps
    none. Of a request and of each answer up to `max_bytes`, without the `fields` (JSON paths) and `headers` (in lower
    case) that are marked."""

    keep: int = 5
    max_bytes: int = 16 * 1024
    fields: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(0 <= self.keep <= 100, "record: keep is not between 0 and 100")
        _require(0 <= self.max_bytes <= MOST_ON_RECORD, f"record: max_bytes is not between 0 and {MOST_ON_RECORD}")
        _require(all(map(_JSON_PATH, self.fields)), "record: a field is keys with dots between")
        _require(all(name == name.lower() for name in self.headers), "record: headers are in lower case")


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """All that a worker knows of one model.

    With `doubt_rejections`, what the candidate answers with 4xx is asked of the champion as well.
    `max_concurrent` exchanges are under way with one version's servers at most, in each worker and each role.
    It is found by path prefix and, where they are given, by host (in lower case, without a port) and header as well.
    `epoch` is the generation at which the present step began: every sample is counted under the epoch of the snapshot
    that routed it, so a step's evidence needs no clock. `salt` belongs to the rollout; a new one shuffles the units.
    """

    model: str
    path_prefix: str
    champion: Target
    candidate: Target | None = None
    phase: Phase = Phase.IDLE
    ramp_bp: int = 0
    epoch: int = 0
    salt: str = ""
    sticky: Sticky = Sticky()
    timeout: float = 2.0
    max_body: int = 16 * 1024 * 1024
    shadow: ShadowPolicy = ShadowPolicy()
    agreement: AgreementSpec = AgreementSpec()
    record: RecordPolicy = RecordPolicy()
    slices: tuple[Slice, ...] = ()
    host: str = ""
    header: HeaderMatch | None = None
    health: HealthProbe | None = None
    max_concurrent: int = 512
    doubt_rejections: bool = True

    def __post_init__(self) -> None:
        _require(_fits_header(self.model), f"route: model {self.model!r} is empty or not printable")
        _require(self.path_prefix.startswith("/"), f"{self.model}: path_prefix must start with /")
        _require(not f"{self.path_prefix}/".startswith("/-/"), f"{self.model}: path_prefix /-/ belongs to the proxy")
        lawful = not self.host or (_HOST(self.host) is not None and self.host == self.host.lower())
        _require(lawful, f"{self.model}: host {self.host!r} is not a host's name in lower case")
        _require(0 <= self.ramp_bp <= BASIS_POINTS, f"{self.model}: ramp_bp {self.ramp_bp} is not between 0 and 10000")
        _require(self.candidate is not None or self.ramp_bp == 0, f"{self.model}: a ramp needs a candidate")
        _require(0 < self.timeout < math.inf, f"{self.model}: timeout must be above 0, and finite")
        _require(self.max_concurrent > 0, f"{self.model}: max_concurrent must be at least 1")
        _require(self.epoch >= 0, f"{self.model}: epoch must not be negative")
        if self.candidate is not None:
            _require(self.candidate.version != self.champion.version, f"{self.model}: the candidate is the champion")


@dataclass(frozen=True, slots=True)
class Place:
    """The models at one host and path: told apart by the values of one header, `otherwise` for any other value."""

    header: bytes = b""
    by_value: dict[bytes, ModelRoute] = field(default_factory=dict)
    otherwise: ModelRoute | None = None

    @classmethod
    def of(cls, routes: Sequence[ModelRoute]) -> Place:
        """Raises ValueError where a request could be for two of them."""
        by_header = [(route.header, route) for route in routes if route.header is not None]
        by_value = {header.value.encode(): route for header, route in by_header}
        others = [route for route in routes if route.header is None]
        names = {header.name.encode() for header, _ in by_header}
        apart = len(names) <= 1 and len(others) <= 1 and len(by_value) == len(by_header)
        _require(apart, f"snapshot: {' and '.join(route.model for route in routes[:2])} match the same requests")
        return cls(names.pop() if names else b"", by_value, others[0] if others else None)


@dataclass(frozen=True, slots=True)
class Site:
    """The places of one host, by path prefix without trailing slashes: "/" is "", and "/a/" is "/a"."""

    by_prefix: dict[str, Place]
    longest_prefix: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One generation of the routing truth. A model that names no host is in the site `anywhere`."""

    generation: int
    routes: tuple[ModelRoute, ...]
    by_model: dict[str, ModelRoute] = field(init=False, repr=False, compare=False)
    by_host: dict[str, Site] = field(init=False, repr=False, compare=False)
    anywhere: Site = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _require(self.generation >= 0, "snapshot: generation must not be negative")
        by_model = {route.model: route for route in self.routes}
        _require(len(by_model) == len(self.routes), "snapshot: a model stands twice")
        sites = _sites(self.routes)
        object.__setattr__(self, "by_model", by_model)
        object.__setattr__(self, "anywhere", sites.pop("", Site({}, 0)))
        object.__setattr__(self, "by_host", sites)


def _sites(routes: Iterable[ModelRoute]) -> dict[str, Site]:
    neighbours: dict[str, dict[str, list[ModelRoute]]] = {}
    for route in routes:
        neighbours.setdefault(route.host, {}).setdefault(route.path_prefix.rstrip("/"), []).append(route)
    return {
        host: Site({prefix: Place.of(together) for prefix, together in by_prefix.items()}, max(map(len, by_prefix)))
        for host, by_prefix in neighbours.items()
    }


@dataclass(frozen=True, slots=True)
class _Wire:
    generation: int
    routes: tuple[ModelRoute, ...]


def encode(snapshot: Snapshot) -> bytes:
    return msgspec.json.encode(_Wire(snapshot.generation, snapshot.routes))


def decode(raw: bytes | str) -> Snapshot:
    """Raises ValueError for anything that is not a lawful snapshot."""
    try:
        wire = msgspec.json.decode(raw, type=_Wire)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return Snapshot(wire.generation, wire.routes)
