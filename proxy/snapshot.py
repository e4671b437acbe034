"""The immutable routing truth: one Snapshot tells a worker all that it may do with a request.

A value that breaks a rule cannot be constructed: each __post_init__ raises ValueError with the field's name. The JSON
codec is the wire format between the planes and the format of the worker's disk cache.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, get_args

import msgspec

from proxy.places import HeaderMatch, Site, sites_of
from proxy.rules import is_host, is_printable, require
from proxy.targets import HealthProbe, Origin, Target, UpstreamTls

__all__ = [
    "BASIS_POINTS",
    "MOST_ON_RECORD",
    "MOST_SLICE_VALUES",
    "AgreementSpec",
    "Format",
    "HeaderMatch",
    "HealthProbe",
    "Kind",
    "ModelRoute",
    "Origin",
    "Phase",
    "Precision",
    "RecordPolicy",
    "ShadowPolicy",
    "Slice",
    "Snapshot",
    "Sticky",
    "Target",
    "UpstreamTls",
    "decode",
    "encode",
]

BASIS_POINTS = 10_000
MOST_ON_RECORD = 64 * 1024
MOST_SLICE_VALUES = 100
_JSON_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*").fullmatch


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


@dataclass(frozen=True, slots=True)
class Sticky:
    """Where a request's unit of assignment is found; `request` makes each request its own unit."""

    source: Literal["request", "header", "cookie", "json"] = "request"
    name: str = ""

    def __post_init__(self) -> None:
        require((self.source == "request") == (not self.name), f"sticky: {self.source} with name {self.name!r}")


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
        require(0 <= self.share_bp <= BASIS_POINTS, f"shadow: share_bp {self.share_bp} is not between 0 and 10000")
        require(self.max_in_flight > 0, "shadow: max_in_flight must be at least 1")
        require(self.max_bytes > 0, "shadow: max_bytes must be at least 1")
        require(0 < self.timeout < math.inf, "shadow: timeout must be above 0, and finite")


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
        require(self.relative >= 0 and self.absolute >= 0, "agreement: tolerances must not be negative")
        require(self.max_body >= 0, "agreement: max_body must not be negative")
        require(self.kind in get_args(Kind), f"agreement: unknown kind {self.kind!r}")
        require(self.format in get_args(Format), f"agreement: unknown format {self.format!r}")
        require(self.precision in get_args(Precision), f"agreement: unknown precision {self.precision!r}")
        require(not self.path or self.format == "json", "agreement: a path needs format json")
        require(all(map(_JSON_PATH, (self.path or "x", *self.ignore))), "agreement: a path is keys with dots between")
        require(not self.classes or self.kind == "label", "agreement: classes need kind label")
        require(len(set(self.classes)) == len(self.classes), "agreement: a class stands twice")
        require(0 < self.threshold < 1, "agreement: threshold must be between 0 and 1")
        require(self.top_k > 0, "agreement: top_k must be at least 1")
        require(0 <= self.min_overlap <= 1, "agreement: min_overlap must be between 0 and 1")
        require(-1 <= self.min_correlation <= 1, "agreement: min_correlation must be between -1 and 1")
        for name, share in (("cpu_bp", self.cpu_bp), ("noise_bp", self.noise_bp)):
            require(0 <= share <= BASIS_POINTS, f"agreement: {name} {share} is not between 0 and 10000")


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the traffic to be looked at by itself: by the values of a request header (in lower case) or of a key in
    its JSON body. The first `most` values that a worker meets have a count each, all others one together."""

    name: str
    source: Literal["header", "json"]
    key: str
    most: int = 20

    def __post_init__(self) -> None:
        require(bool(self.name) and bool(self.key), "slice: name and key must not be empty")
        require(self.source != "header" or self.key == self.key.lower(), "slice: a header is in lower case")
        require(0 < self.most <= MOST_SLICE_VALUES, f"slice: most is not between 1 and {MOST_SLICE_VALUES}")


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
        require(0 <= self.keep <= 100, "record: keep is not between 0 and 100")
        require(0 <= self.max_bytes <= MOST_ON_RECORD, f"record: max_bytes is not between 0 and {MOST_ON_RECORD}")
        require(all(map(_JSON_PATH, self.fields)), "record: a field is keys with dots between")
        require(all(name == name.lower() for name in self.headers), "record: headers are in lower case")


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """All that a worker knows of one model.

    With `doubt_rejections`, what the candidate answers with 4xx is asked of the champion as well.
    A request's body of over `max_body` bytes is refused; one of over `buffer` bytes is passed on as it comes.
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
    buffer: int = 16 * 1024 * 1024
    shadow: ShadowPolicy = ShadowPolicy()
    agreement: AgreementSpec = AgreementSpec()
    record: RecordPolicy = RecordPolicy()
    slices: tuple[Slice, ...] = ()
    host: str = ""
    header: HeaderMatch | None = None
    health: HealthProbe | None = None
    max_concurrent: int = 512
    doubt_rejections: bool = True
    by_unit: bool = False
    """Whether the first answer of each unit is counted apart, for gates that ask for it."""

    def __post_init__(self) -> None:
        require(is_printable(self.model), f"route: model {self.model!r} is empty or not printable")
        require(self.path_prefix.startswith("/"), f"{self.model}: path_prefix must start with /")
        require(not f"{self.path_prefix}/".startswith("/-/"), f"{self.model}: path_prefix /-/ belongs to the proxy")
        lawful = not self.host or (is_host(self.host) and self.host == self.host.lower())
        require(lawful, f"{self.model}: host {self.host!r} is not a host's name in lower case")
        require(0 <= self.ramp_bp <= BASIS_POINTS, f"{self.model}: ramp_bp {self.ramp_bp} is not between 0 and 10000")
        require(self.candidate is not None or self.ramp_bp == 0, f"{self.model}: a ramp needs a candidate")
        require(0 < self.timeout < math.inf, f"{self.model}: timeout must be above 0, and finite")
        require(self.buffer > 0, f"{self.model}: buffer must be at least 1")
        require(self.max_concurrent > 0, f"{self.model}: max_concurrent must be at least 1")
        require(self.epoch >= 0, f"{self.model}: epoch must not be negative")
        if self.candidate is not None:
            require(self.candidate.version != self.champion.version, f"{self.model}: the candidate is the champion")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One generation of the routing truth. A model that names no host is in the site `anywhere`."""

    generation: int
    routes: tuple[ModelRoute, ...]
    by_model: dict[str, ModelRoute] = field(init=False, repr=False, compare=False)
    by_host: dict[str, Site[ModelRoute]] = field(init=False, repr=False, compare=False)
    anywhere: Site[ModelRoute] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        require(self.generation >= 0, "snapshot: generation must not be negative")
        by_model = {route.model: route for route in self.routes}
        require(len(by_model) == len(self.routes), "snapshot: a model stands twice")
        sites = sites_of(self.routes)
        object.__setattr__(self, "by_model", by_model)
        object.__setattr__(self, "anywhere", sites.pop("", Site({}, 0)))
        object.__setattr__(self, "by_host", sites)


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
