"""The configuration's keys: what each one means, what it may hold, and what it holds where it is not named.

The models check values, alone and beside each other, and make the plain objects that the planes work with. Their
docstrings and defaults are the JSON Schema that is kept beside the configuration.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationInfo, field_validator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gates.settings import kinds
from gates.settings.access import AccessKeys
from gates.settings.agreement import AgreementKeys
from gates.settings.alerts import AlertKeys
from gates.settings.kinds import Keys, contradiction, written
from gates.settings.matching import MatchKeys
from gates.settings.notation import Address
from gates.settings.policy import PolicyKeys
from gates.settings.promotion import PromotionKeys
from gates.settings.slicing import SliceKeys, is_redacted
from gates.settings.tls import DataPortTlsKeys, UpstreamTlsKeys
from gates.settings.traffic import HealthKeys, ShadowKeys, StickyKeys
from gates.settings.trial import AgreementGate, AnyGate, BudgetKeys, Gates, LatencyGate, PlanKeys

REGISTRY = "registry"
"""The key of the validation context that tells whether an MLflow registry is configured."""


class ModelKeys(Keys):
    """One served model, by its product name."""

    match: MatchKeys = written({})
    """Where the model is found."""
    servers: dict[kinds.Version, Annotated[list[kinds.Server], Field(min_length=1)]]
    """The model servers of each version, http://host:port or https://host:port; requests keep their own path."""
    tls: UpstreamTlsKeys | None = None
    """How https servers are checked, if not by the system's authorities, and what they are shown."""
    champion: kinds.Reference
    """The version that serves, or an alias of the MLflow registry such as "@champion"."""
    candidate: kinds.Reference | None = None
    """The version on trial, or an alias of the MLflow registry."""
    percent: kinds.BasisPoints | None = None
    """The candidate's share of the requests, set by hand: in force at once, and held until it is changed, or until a
    person resumes the rollout. Without it, the plan sets the share."""
    sticky: StickyKeys | None = None
    """What keeps a user with one version. Without it, each request is its own unit."""
    timeout: kinds.Deadline = written("2s")
    """The time that an upstream's whole exchange may take. The champion has as long again where it answers for a
    candidate that failed: a late answer is better than none."""
    max_body: kinds.Size = written("16MiB")
    """Longer requests are refused with 413."""
    buffer: kinds.Size = written("16MiB")
    """Longer requests are passed on as they come. They are not copied, and not repeated for the champion where the
    candidate fails with some of it; the time for the exchange begins anew with each piece that the server has taken."""
    max_concurrent: Annotated[int, Field(ge=1, le=512)] = 512
    """The most exchanges that one version's servers have at once, of each worker. What is over is answered with 503 and
    Retry-After; the champion answers what is over at the candidate."""
    doubt_rejections: bool = True
    """Ask the champion what the candidate has answered with 4xx: where it answers 2xx, the client gets that, and the
    rejection counts as the candidate's failure. MLflow's server answers 400 when the model itself crashes."""
    health: HealthKeys | None = None
    """How the servers are asked whether they are well. Without it, they are only passed over while they fail."""
    shadow: ShadowKeys = written({})
    """Copies of requests, to the version that does not serve them."""
    policy: PolicyKeys | None = None
    """What callers make of the answers, apart from the model: they ask for it at /api/models/{model}/policy."""
    agreement: AgreementKeys = written({})
    """How the candidate's answers are compared with the champion's."""
    slices: Annotated[dict[kinds.Name, SliceKeys], Field(max_length=8)] = written({})
    """Parts of the traffic to be looked at by themselves, by names of your own: answers, errors, latency and agreement
    for each value. A gate is held to each of them with `by`."""
    plan: PlanKeys = written({})
    """The stages of a rollout."""
    gates: Gates = written({"error_rate": {"max": "1%"}})
    """The gates that watch the candidate in every stage, each under a name of your own."""
    budget: BudgetKeys = written({})
    """What may go wrong by chance."""
    promotion: PromotionKeys = written({})
    """The gates before and after the live ones: offline, staging, production, and those over Prometheus. A rollout does
    not start while its candidate is a NO-GO by the first two; the live ones watch it in every stage, as `gates` do, and
    its bake is not passed without those of production."""

    @field_validator("tls")
    @classmethod
    def _used(cls, tls: UpstreamTlsKeys | None, info: ValidationInfo) -> UpstreamTlsKeys | None:
        origins = [origin for served in info.data.get("servers", {}).values() for origin in served]
        if tls is not None and origins and not any(origin.tls for origin in origins):
            raise contradiction("none of the servers is an https:// one")
        return tls

    @field_validator("champion", "candidate")
    @classmethod
    def _served(cls, version: str | None, info: ValidationInfo) -> str | None:
        if version is None:
            return None
        if version.startswith("@"):
            if not (info.context or {}).get(REGISTRY):
                raise contradiction(f"{version} is an alias, and no mlflow section names a registry that knows it")
        elif "servers" in info.data and version not in info.data["servers"]:
            has = ", ".join(info.data["servers"]) or "none"
            raise contradiction(f"version {version} has no servers; servers are named for: {has}")
        if info.data.get("champion") == version:
            raise contradiction(f"version {version} is the champion already")
        return version

    @field_validator("agreement")
    @classmethod
    def _deciding(cls, agreement: AgreementKeys, info: ValidationInfo) -> AgreementKeys:
        """A threshold that is named is one of the policy's, and a probability."""
        threshold, policy = agreement.threshold, info.data.get("policy")
        if isinstance(threshold, str) and "policy" in info.data:
            known = policy.thresholds if policy else {}
            if threshold not in known:
                raise contradiction(
                    f"the policy has no threshold {threshold}; it has: {', '.join(known) or 'none'}", "threshold"
                )
            if not 0 < known[threshold] < 1:
                raise contradiction(f"{threshold} is {known[threshold]:g}, and no probability", "threshold")
        return agreement

    @field_validator("slices")
    @classmethod
    def _open(cls, slices: dict[str, SliceKeys], info: ValidationInfo) -> dict[str, SliceKeys]:
        if "agreement" in info.data:
            policy = info.data["agreement"].disagreements.policy()
            for name, keys in slices.items():
                if is_redacted(keys.slice(name), policy):
                    raise contradiction("its values would be told, and they are credentials or to be redacted", name)
        return slices

    @field_validator("promotion")
    @classmethod
    def _told_apart(cls, promotion: PromotionKeys, info: ValidationInfo) -> PromotionKeys:
        """A rollout's gates are told by their names."""
        named = dict.fromkeys(info.data.get("gates", ()), "gates")
        for stage, name, _ in promotion.under_way:
            if name in named:
                raise contradiction(f"there is such a gate in {named[name]} already: name it otherwise", stage, name)
            named[name] = f"promotion.{stage}"
        return promotion

    @field_validator("plan")
    @classmethod
    def _reachable(cls, plan: PlanKeys, info: ValidationInfo) -> PlanKeys:
        if "shadow" in info.data and not info.data["shadow"].percent and plan.shadow.min_requests:
            said = "expected 0, as shadow.percent is 0 and nothing is copied; a person then has to advance the rollout"
            raise contradiction(said, "shadow", "min_requests")
        return plan

    @field_validator("gates")
    @classmethod
    def _attainable(cls, gates: dict[str, AnyGate], info: ValidationInfo) -> dict[str, AnyGate]:
        for name, gate in gates.items():
            if gate.by is not None and gate.by not in info.data.get("slices", (gate.by,)):
                has = ", ".join(info.data["slices"]) or "none"
                raise contradiction(f"there is no slice {gate.by}; slices are: {has}", name, "by")
        if "timeout" in info.data and "shadow" in info.data:
            longest = max(info.data["timeout"], info.data["shadow"].timeout)
            for name, gate in gates.items():
                if isinstance(gate, LatencyGate) and gate.max is not None and gate.max > longest:
                    raise contradiction(f"expected at most {longest:g}s, as every exchange ends by then", name, "max")
        for name, gate in gates.items():
            if gate.per == "unit" and info.data.get("sticky", "") is None:
                raise contradiction("expected request, as sticky names no unit", name, "per")
            agreement = info.data.get("agreement")
            if isinstance(gate, AgreementGate) and gate.against and agreement and not agreement.noise_probe_percent:
                said = "needs agreement.noise_probe_percent above 0: nothing else tells how the champion differs"
                raise contradiction(said, name, "against")
        return gates


class MlflowKeys(Keys):
    """The MLflow registry that versions come from, and that rollouts are recorded in."""

    tracking_uri: kinds.MlflowUri = written("sqlite:///mlflow.db")
    """Where runs are recorded."""
    registry_uri: kinds.MlflowUri | None = None
    """Where models are registered, if not beside the runs."""
    experiment: kinds.Title = "penstock"
    """The experiment that rollouts are recorded in."""


class Configuration(Keys):
    """The whole configuration of a Penstock."""

    listen: kinds.ListenAddress = written("127.0.0.1:8080")
    """The data port: where clients send their requests."""
    tls: DataPortTlsKeys | None = None
    """TLS on the data port. Without it, the data port speaks plain HTTP."""
    trusted_peers: list[kinds.Network] = written([])
    """Networks of the load balancers before the data port: what they say in x-forwarded-* is added to, and what
    others say there is replaced."""
    control: kinds.ListenAddress = written("127.0.0.1:9080")
    """The control port: API, dashboard and metrics. Only an `access` section lets it be bound to an address that others
    reach."""
    access: AccessKeys = written({})
    """Who may use the control port."""
    alerts: AlertKeys = written({})
    """Who is told of what happens."""
    store: kinds.StoreUrl = written("sqlite:///penstock.db")
    """Where the control plane keeps its state. A relative SQLite path starts at the current directory."""
    mlflow: MlflowKeys | None = None
    """The MLflow registry. Without it, versions are names that only this file knows."""
    model_versions: kinds.File | None = None
    """A file to write at each promotion and rollback: the current, previous and fallback version of each model. A
    relative path starts at the configuration's folder."""
    prometheus: kinds.Url | None = None
    """The Prometheus server that gates with `metric: prometheus` ask, http://host:port."""
    models: dict[kinds.Name, ModelKeys]
    """The models that are served, by their product names."""

    @field_validator("models")
    @classmethod
    def _answerable(cls, models: dict[str, ModelKeys], info: ValidationInfo) -> dict[str, ModelKeys]:
        """A rollout would wait for ever for a gate that nobody can be asked about."""
        for name, model in models.items():
            for stage, gate, metric in model.promotion.under_way:
                if metric == "prometheus" and info.data.get("prometheus", "") is None:
                    said = "asks Prometheus, and no server is named: add the key prometheus"
                    raise contradiction(said, name, "promotion", stage, gate)
        return models

    @field_validator("control")
    @classmethod
    def _apart(cls, control: Address, info: ValidationInfo) -> Address:
        if info.data.get("listen") == control:
            raise contradiction(f"{control} is the data port already")
        return control


GATES: TypeAdapter[dict[str, AnyGate]] = TypeAdapter(Gates)
"""What a file of gates holds, to be included or alone."""


def shape() -> dict[str, Any]:
    """The JSON Schema of the keys, as the models have it."""
    return Configuration.model_json_schema(schema_generator=_Schema)


def gates_shape() -> dict[str, Any]:
    """The JSON Schema of a file of gates alone."""
    return GATES.json_schema(schema_generator=_Schema)


PROMOTION: TypeAdapter[PromotionKeys] = TypeAdapter(PromotionKeys)
"""What a promotion file holds, to be included or alone."""


def promotion_shape() -> dict[str, Any]:
    """The JSON Schema of a promotion file alone."""
    return PROMOTION.json_schema(schema_generator=_Schema)


def promotion_schema() -> dict[str, object]:
    """The JSON Schema of a promotion file, for editors."""
    made = promotion_shape()
    return {"$schema": GenerateJsonSchema.schema_dialect, **made, "title": "Penstock promotion gates"}


def schema() -> dict[str, object]:
    """The JSON Schema of the configuration file, for editors. They take `!include` for a text, so gates may be one."""
    made = shape()
    model = made["$defs"]["ModelKeys"]["properties"]
    told = {key: model["gates"].pop(key) for key in ("description", "default")}
    included = {"type": "string", "pattern": r"\.ya?ml$", "description": "!include path/to/gates.yaml"}
    model["gates"] = {**told, "anyOf": [_by_name(model["gates"]), included]}
    included_gates = {**included, "description": "!include path/to/promotion.yaml"}
    promotion = model["promotion"]
    told = {key: promotion.pop(key) for key in ("description", "default") if key in promotion}
    model["promotion"] = {**told, "anyOf": [promotion, included_gates]}
    return {"$schema": GenerateJsonSchema.schema_dialect, **made, "title": "Penstock configuration"}


def _by_name(gates: dict[str, Any]) -> dict[str, Any]:
    """A gate that is named after a metric is of its kind, and any other has to say of which."""
    ((pattern, variants),) = gates["patternProperties"].items()
    kinds_of = variants["discriminator"]["mapping"]
    other = f"^(?!({'|'.join(kinds_of)})$)" + pattern.removeprefix("^")
    named = {name: {"$ref": kind} for name, kind in kinds_of.items()}
    return {**gates, "properties": named, "patternProperties": {other: {**variants, "required": ["metric"]}}}


class _Schema(GenerateJsonSchema):
    """Without titles that only repeat the keys, and without null, which no key may hold."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        return super().dict_schema(schema) | {"additionalProperties": False}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)
