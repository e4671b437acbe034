"""What the control plane works by, read from one YAML file and its includes: all of it sound, or a SettingsError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from gates.gate import Budget, Gate
from gates.plan import Plan
from gates.settings import document
from gates.settings.access import OPEN, AccessSettings
from gates.settings.alerts import SILENT, AlertSettings
from gates.settings.configuration import (
    GATES,
    PROMOTION,
    REGISTRY,
    Configuration,
    MlflowKeys,
    ModelKeys,
    gates_shape,
    promotion_shape,
    shape,
)
from gates.settings.difference import flat
from gates.settings.explanation import explain
from gates.settings.matching import ambiguities
from gates.settings.notation import Address
from gates.settings.policy import Policy
from gates.settings.problems import Key, Problem, SettingsError, Source
from gates.settings.promotion import NO_GATES, PromotionGates
from gates.settings.tls import DataPortTls
from proxy.snapshot import AgreementSpec, HeaderMatch, HealthProbe, Origin, RecordPolicy, ShadowPolicy, Slice, Sticky

__all__ = [
    "NO_GATES",
    "AccessSettings",
    "Address",
    "AlertSettings",
    "DataPortTls",
    "MlflowSettings",
    "ModelSettings",
    "Policy",
    "Problem",
    "PromotionGates",
    "Settings",
    "SettingsError",
    "Source",
    "load",
    "load_gates",
    "load_promotion",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MlflowSettings:
    """The MLflow registry. Its addresses may hold passwords, and stay out of the repr."""

    tracking_uri: str = field(repr=False)
    registry_uri: str | None = field(repr=False)
    experiment: str


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """One served model. `champion` and `candidate` are versions that have servers, or aliases (`@champion`) that the
    registry has yet to resolve. `timeout` is in seconds, `max_body` and `buffer` in bytes. `percent`, in basis points,
    is the candidate's share where it is set by hand. `retention` is how long disagreements are kept, in seconds."""

    name: str
    path_prefix: str
    servers: Mapping[str, tuple[Origin, ...]]
    champion: str
    candidate: str | None
    sticky: Sticky
    timeout: float
    max_body: int
    buffer: int
    shadow: ShadowPolicy
    agreement: AgreementSpec
    plan: Plan
    gates: tuple[Gate, ...]
    budget: Budget
    host: str = ""
    header: HeaderMatch | None = None
    health: HealthProbe | None = None
    max_concurrent: int = 512
    doubt_rejections: bool = True
    percent: int | None = None
    promotion: PromotionGates = NO_GATES
    record: RecordPolicy = field(default_factory=RecordPolicy)
    retention: float = 30 * 86_400.0
    slices: tuple[Slice, ...] = ()
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, as read from `path`. The store's URL may hold a password, and stays out of the repr."""

    listen: Address
    control: Address
    store: str = field(repr=False)
    mlflow: MlflowSettings | None
    models: tuple[ModelSettings, ...]
    path: Path
    tls: DataPortTls | None = None
    prometheus: str | None = field(default=None, repr=False)
    model_versions: Path | None = None
    trusted_peers: tuple[str, ...] = ()
    access: AccessSettings = OPEN
    alerts: AlertSettings = SILENT
    source: Source = field(default=Source(), compare=False)
    written: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """What the files say, value by value, as people write keys and values."""
    places: Mapping[Key, document.Place] = field(default_factory=dict, repr=False, compare=False)

    def place(self, key: Key) -> str:
        """File and line of the key, or of what it is missing from."""
        return str(document.place_of({(): document.Place(self.path, 0), **self.places}, key))


def load(path: Path) -> Settings:
    """Raises SettingsError, with all that is wrong in order of file and line, and nothing else for any bytes."""
    read = document.read(path)
    problems = list(read.problems)
    keys = None
    if read.sound(()):
        try:
            keys = Configuration.model_validate(read.value, context={REGISTRY: "mlflow" in _mapping(read.value)})
        except ValidationError as error:
            problems += explain(error, read, shape())
        problems += [read.problem(key, message) for key, message in ambiguities(_mapping(read.value).get("models"))]
    if problems or keys is None:
        raise SettingsError(sorted(problems, key=lambda problem: (problem.file, problem.line)), read.source)
    return _settings(keys, path, read)


def load_gates(path: Path) -> tuple[Gate, ...]:
    """The gates of a file of their own, such as the configuration includes. Raises SettingsError."""
    keys = _alone(path, GATES, gates_shape)
    return tuple(gate.gate(name) for name, gate in keys.items())


def load_promotion(path: Path) -> PromotionGates:
    """The gates of a promotion file, such as the configuration includes. Raises SettingsError."""
    return _alone(path, PROMOTION, promotion_shape).gates()


def _alone(path: Path, kind: TypeAdapter[T], shaped: Callable[[], dict[str, Any]]) -> T:
    """A file that stands by itself. Raises SettingsError."""
    read = document.read(path)
    problems = list(read.problems)
    if read.sound(()):
        try:
            keys = kind.validate_python(read.value)
            if not problems:
                return keys
        except ValidationError as error:
            problems += explain(error, read, shaped())
    raise SettingsError(sorted(problems, key=lambda problem: (problem.file, problem.line)), read.source)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _settings(keys: Configuration, path: Path, read: document.Document) -> Settings:
    models = tuple(_model(name, model, path.parent) for name, model in keys.models.items())
    return Settings(
        keys.listen,
        keys.control,
        keys.store,
        _mlflow(keys.mlflow),
        models,
        path,
        tls=keys.tls.tls(path.parent) if keys.tls else None,
        prometheus=keys.prometheus,
        model_versions=path.parent / keys.model_versions if keys.model_versions else None,
        trusted_peers=tuple(keys.trusted_peers),
        access=keys.access.access(path.parent),
        alerts=keys.alerts.alerts(path.parent),
        source=read.source,
        written=MappingProxyType(dict(flat(read.value))),
        places=read.places,
    )


def _mlflow(keys: MlflowKeys | None) -> MlflowSettings | None:
    if keys is None:
        return None
    return MlflowSettings(keys.tracking_uri, keys.registry_uri, keys.experiment)


def _servers(keys: ModelKeys, folder: Path) -> Mapping[str, tuple[Origin, ...]]:
    """Each version's servers, those of https with the model's `tls`."""
    tls = keys.tls.tls(folder) if keys.tls else None
    return MappingProxyType(
        {
            version: tuple(replace(origin, tls=tls) if tls and origin.tls else origin for origin in origins)
            for version, origins in keys.servers.items()
        }
    )


def _sized(gate: Gate, slices: tuple[Slice, ...]) -> Gate:
    """A gate by a slice has a place for each of its values, and one for all others."""
    most = next((one.most for one in slices if one.name == gate.by), None)
    return gate if most is None else replace(gate, values=most + 1)


def _model(name: str, keys: ModelKeys, folder: Path) -> ModelSettings:
    slices = tuple(one.slice(slice_name) for slice_name, one in keys.slices.items())
    return ModelSettings(
        name=name,
        path_prefix=keys.match.path_prefix,
        servers=_servers(keys, folder),
        champion=keys.champion,
        candidate=keys.candidate,
        sticky=keys.sticky.sticky() if keys.sticky else Sticky(),
        timeout=keys.timeout,
        max_body=keys.max_body,
        buffer=keys.buffer,
        shadow=keys.shadow.policy(),
        agreement=keys.agreement.spec(keys.policy.thresholds if keys.policy else {}),
        plan=keys.plan.plan(),
        gates=tuple(_sized(gate.gate(gate_name), slices) for gate_name, gate in keys.gates.items()),
        budget=keys.budget.budget(),
        host=keys.match.host or "",
        header=keys.match.header_match(),
        health=keys.health.probe() if keys.health else None,
        max_concurrent=keys.max_concurrent,
        doubt_rejections=keys.doubt_rejections,
        percent=keys.percent,
        promotion=keys.promotion.gates(),
        record=keys.agreement.disagreements.policy(),
        retention=keys.agreement.disagreements.retention,
        slices=slices,
        policy=keys.policy.policy() if keys.policy else None,
    )
