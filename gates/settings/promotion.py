"""The keys of a promotion file: the gates of each stage from the registry to production, each under its own name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from gates.promotion.offline import (
    Better,
    Checksums,
    MetricNames,
    Naming,
    Noted,
    OfflineGate,
    Score,
    SignatureGate,
    Size,
)
from gates.promotion.production import (
    CORRECT,
    REVIEWS,
    Accuracy,
    Approved,
    Lift,
    NoViolations,
    ProductionGate,
    ShadowPeriod,
)
from gates.promotion.rule import Bounds
from gates.promotion.series import SeriesGate, Trend
from gates.promotion.staging import LoadGate, StagingGate
from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction, written
from gates.verdict import Severity

Number = Annotated[float, Field(allow_inf_nan=False)]
Review = Literal["data-science", "devops", "business", "security"]


@dataclass(frozen=True, slots=True)
class PromotionGates:
    """The gates of every stage but the live ones that watch windows; `live` are those over Prometheus."""

    offline: tuple[OfflineGate, ...] = ()
    staging: tuple[StagingGate, ...] = ()
    live: tuple[SeriesGate, ...] = ()
    production: tuple[ProductionGate, ...] = ()

    @property
    def accuracy(self) -> tuple[Accuracy, ...]:
        """Those that also watch a rollout while it is under way."""
        return tuple(gate for gate in self.production if isinstance(gate, Accuracy))


NO_GATES = PromotionGates()


class _RuleKeys(Keys):
    severity: Severity = "critical"
    """A critical gate that fails is a NO-GO; an advisory one only tells."""


class _BoundKeys(_RuleKeys):
    min: Number | None = None
    """The smallest value that passes, in the metric's own unit."""
    max: Number | None = None
    """The largest value that passes, in the metric's own unit."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise contradiction(f"expected at least min, {self.min:g}", "max")
        return self


class ScoreKeys(_BoundKeys):
    """A metric that was logged in the registry, within bounds, and not worse than the champion's."""

    metric: Literal["score"]
    """score reads a logged metric."""
    keys: list[kinds.Title] = written([])
    """The metric's name; of several the first that was logged. A * makes it every metric that fits, such as accuracy/*
    for slices. Without it, the gate's own name."""
    against: Literal["champion"] | None = None
    """champion also measures it by the champion's metric of the same name."""
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """How much worse than the champion's it may be, in the metric's own unit."""
    better: Better = "higher"
    """Which way is better: higher, as for an accuracy, or lower, as for a loss."""

    @model_validator(mode="after")
    def _asking(self) -> Self:
        if self.against is None and self.min is None and self.max is None:
            raise contradiction("asks for nothing: name min, max or against: champion")
        return self

    def gate(self, name: str) -> Score:
        margin = self.margin if self.against else None
        keys, bounds = tuple(self.keys) or (name,), Bounds(self.min, self.max)
        return Score(name=name, severity=self.severity, keys=keys, bounds=bounds, margin=margin, better=self.better)


class SizeKeys(_RuleKeys):
    """The bytes of all files of the model."""

    metric: Literal["size"] = "size"
    """What is watched. A gate that is named after it need not say."""
    max: kinds.Size
    """The most that passes: 100MiB."""

    def gate(self, name: str) -> Size:
        return Size(name=name, severity=self.severity, most=self.max)


class SignatureKeys(_RuleKeys):
    """The model has a signature, and it fits the champion's: inputs and outputs, column by column."""

    metric: Literal["signature"] = "signature"
    """What is watched. A gate that is named after it need not say."""

    def gate(self, name: str) -> SignatureGate:
        return SignatureGate(name=name, severity=self.severity)


class NotedKeys(_RuleKeys):
    """Tags or parameters of the version or its run that must be there: lineage, or the standard tags."""

    metric: Literal["lineage", "tags"]
    """lineage or tags: the same rule, with other names asked for."""
    names: list[kinds.Title]
    """What must be there; a | between names asks for one of them."""
    same: list[kinds.Title] = written([])
    """What must be as the champion has it, such as feature_hash: where the champion has it."""

    def gate(self, name: str) -> Noted:
        return Noted(name=name, severity=self.severity, names=tuple(self.names), same=tuple(self.same))


class ChecksumKeys(_RuleKeys):
    """The files are those that were registered, by the tag artifact_sha256."""

    metric: Literal["checksums"] = "checksums"
    """What is watched. A gate that is named after it need not say."""
    files: list[kinds.Title] = written(["MLmodel"])
    """Files that must be there."""

    def gate(self, name: str) -> Checksums:
        return Checksums(name=name, severity=self.severity, files=tuple(self.files))


class NamingKeys(_RuleKeys):
    """The model is called by a product's name, without version, date or state."""

    metric: Literal["naming"] = "naming"
    """What is watched. A gate that is named after it need not say."""

    def gate(self, name: str) -> Naming:
        return Naming(name=name, severity=self.severity)


class MetricNamesKeys(_RuleKeys):
    """Every logged metric has a canonical name."""

    metric: Literal["metric_names"] = "metric_names"
    """What is watched. A gate that is named after it need not say."""
    names: list[kinds.Title]
    """The canonical names; * stands for anything, such as */* for slices."""

    def gate(self, name: str) -> MetricNames:
        return MetricNames(name=name, severity=self.severity, names=tuple(self.names))


class LatencyKeys(_RuleKeys):
    """The latency under load."""

    metric: Literal["latency"]
    """latency: what a client waited."""
    quantile: kinds.Quantile = written("p95")
    """Which quantile: p50, p95 or p99."""
    max: kinds.LatencyLimit
    """What the quantile may reach, with its unit: 25ms."""
    min_requests: kinds.Count = 100
    """Fewer say nothing."""

    def gate(self, name: str) -> LoadGate:
        bounds = Bounds(most=self.max, unit="s")
        return LoadGate(
            name=name,
            severity=self.severity,
            measure="latency",
            bounds=bounds,
            quantile=self.quantile,
            min_requests=self.min_requests,
        )


class ErrorRateKeys(_RuleKeys):
    """The share of requests that failed under load."""

    metric: Literal["error_rate"] = "error_rate"
    """What is watched. A gate that is named after it need not say."""
    max: kinds.Share
    """The largest share that passes, with its % sign: 0.1%."""
    min_requests: kinds.Count = 100
    """Fewer say nothing."""

    def gate(self, name: str) -> LoadGate:
        bounds = Bounds(most=self.max, unit="%")
        return LoadGate(
            name=name, severity=self.severity, measure="error_rate", bounds=bounds, min_requests=self.min_requests
        )


class MemoryKeys(_RuleKeys):
    """The resident memory of the server and its workers, at its highest."""

    metric: Literal["memory"] = "memory"
    """What is watched. A gate that is named after it need not say."""
    max: kinds.Size
    """The most that passes: 1024MiB."""

    def gate(self, name: str) -> LoadGate:
        return LoadGate(
            name=name, severity=self.severity, measure="memory", bounds=Bounds(most=float(self.max), unit="MiB")
        )


class CpuKeys(_RuleKeys):
    """The processor time of the server and its workers, as a share of all cores."""

    metric: Literal["cpu"] = "cpu"
    """What is watched. A gate that is named after it need not say."""
    max: kinds.Share
    """The largest share that passes, with its % sign: 80%."""

    def gate(self, name: str) -> LoadGate:
        return LoadGate(name=name, severity=self.severity, measure="cpu", bounds=Bounds(most=self.max, unit="%"))


class ColdStartKeys(_RuleKeys):
    """The time from the server's start to its first good answer to /ping, with files and caches warm."""

    metric: Literal["cold_start"] = "cold_start"
    """What is watched. A gate that is named after it need not say."""
    max: kinds.Deadline
    """The longest that passes: 2s."""

    def gate(self, name: str) -> LoadGate:
        return LoadGate(name=name, severity=self.severity, measure="cold_start", bounds=Bounds(most=self.max, unit="s"))


class LoggingKeys(_RuleKeys):
    """The share of requests that stand in the server's log."""

    metric: Literal["logging"] = "logging"
    """What is watched. A gate that is named after it need not say."""
    min: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The smallest share that passes, from 0 to 1."""

    def gate(self, name: str) -> LoadGate:
        return LoadGate(name=name, severity=self.severity, measure="logging", bounds=Bounds(least=self.min, unit="%"))


class PrometheusKeys(_BoundKeys):
    """The value of a PromQL query. No data is INSUFFICIENT, and never a pass."""

    metric: Literal["prometheus"]
    """prometheus asks the server of --prometheus-url, or of the configuration."""
    query: Annotated[str, Field(min_length=1, max_length=4000)]
    """In PromQL. Where it gives several series, the worst is judged."""
    unit: Literal["", "s", "%"] = ""
    """How people read the value: s for seconds, % for a share from 0 to 1."""
    sustained: kinds.Duration = written("0s")
    """FAIL only what was outside for so long without a break."""
    trend: Trend | None = None
    """not_falling or not_rising, over the time `over`."""
    over: kinds.Duration = written("0s")
    """The time that a trend, or a runaway's baseline, is looked at over."""
    tolerance: kinds.Share = written("5%")
    """How far a trend may go the wrong way, as a share of the median."""
    runaway: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = None
    """The newest value may be at most so many times the median of the time `over`."""

    @model_validator(mode="after")
    def _asking(self) -> Self:
        looks_back = self.trend is not None or self.runaway is not None
        if self.min is None and self.max is None and not looks_back:
            raise contradiction("asks for nothing: name min, max, trend or runaway")
        if looks_back and not self.over:
            raise contradiction("is missing: the time that a trend or a runaway is looked at over, such as 2h", "over")
        if self.sustained and self.min is None and self.max is None:
            raise contradiction("says nothing without min or max", "sustained")
        return self

    def gate(self, name: str) -> SeriesGate:
        return SeriesGate(
            name=name,
            severity=self.severity,
            query=self.query,
            bounds=Bounds(self.min, self.max, self.unit),
            sustained=self.sustained,
            trend=self.trend,
            over=self.over,
            tolerance=self.tolerance,
            runaway=self.runaway,
        )


class ShadowPeriodKeys(_RuleKeys):
    """The candidate was in shadow for long enough, and passed it."""

    metric: Literal["shadow_period"] = "shadow_period"
    """What is watched. A gate that is named after it need not say."""
    min: kinds.Duration = written("3d")
    """The least time: 3d."""

    def gate(self, name: str) -> ShadowPeriod:
        return ShadowPeriod(name=name, severity=self.severity, least=self.min)


class ViolationsKeys(_RuleKeys):
    """No critical live gate failed and no limit of the plan was broken in the candidate's rollout."""

    metric: Literal["sla_violations"] = "sla_violations"
    """What is watched. A gate that is named after it need not say."""

    def gate(self, name: str) -> NoViolations:
        return NoViolations(name=name, severity=self.severity)


class LiftKeys(_RuleKeys):
    """The candidate does better by an outcome, and that is significant: the whole confidence sequence is above min."""

    metric: Literal["lift"] = "lift"
    """What is watched. A gate that is named after it need not say."""
    outcome: kinds.Name
    """The outcome's name, as it is posted to /api/outcomes."""
    min: Number = 0.0
    """The least lift, in the outcome's own unit."""
    alpha: kinds.Share = written("5%")
    """The probability that the confidence sequence ever misses the truth."""

    def gate(self, name: str) -> Lift:
        return Lift(name=name, severity=self.severity, outcome=self.outcome, least=self.min, alpha=self.alpha)


class AccuracyKeys(_RuleKeys):
    """The candidate is right nearly as often as the champion, by late labels. In a rollout it rolls back live."""

    metric: Literal["accuracy"] = "accuracy"
    """What is watched. A gate that is named after it need not say."""
    outcome: kinds.Name = CORRECT
    """The outcome that is 1 for a right prediction and 0 for a wrong one."""
    max_drop: kinds.Share = written("10%")
    """By how many points of a hundred it may lie below the champion's."""
    alpha: kinds.Share = written("1%")
    """The probability that it fails a candidate that keeps within that."""

    def gate(self, name: str) -> Accuracy:
        return Accuracy(name=name, severity=self.severity, outcome=self.outcome, drop=self.max_drop, alpha=self.alpha)


class ApprovalKeys(_RuleKeys):
    """People have approved the version: penstock approve."""

    metric: Literal["approvals"] = "approvals"
    """What is watched. A gate that is named after it need not say."""
    reviews: list[Review] = written(list(REVIEWS))
    """Whose reviews are asked for."""

    def gate(self, name: str) -> Approved:
        return Approved(name=name, severity=self.severity, reviews=tuple(self.reviews))


AnyOffline = Annotated[
    ScoreKeys | SizeKeys | SignatureKeys | NotedKeys | ChecksumKeys | NamingKeys | MetricNamesKeys,
    Field(discriminator="metric"),
]
AnyStaging = Annotated[
    LatencyKeys | ErrorRateKeys | MemoryKeys | CpuKeys | ColdStartKeys | LoggingKeys | PrometheusKeys,
    Field(discriminator="metric"),
]
AnyProduction = Annotated[
    ShadowPeriodKeys | ViolationsKeys | LiftKeys | AccuracyKeys | ApprovalKeys | PrometheusKeys,
    Field(discriminator="metric"),
]


def _told_by_name(variants: Any) -> Callable[[object], object]:
    """Gives each gate that is named after a metric of its stage that metric, where it does not say."""
    models = get_args(get_args(variants)[0])
    known = {metric for model in models for metric in get_args(model.model_fields["metric"].annotation)}

    def told(rules: object) -> object:
        if not isinstance(rules, dict):
            return rules
        return {
            name: {"metric": name, **rule} if name in known and isinstance(rule, dict) else rule
            for name, rule in rules.items()
        }

    return told


OfflineKeys = Annotated[dict[kinds.Name, AnyOffline], BeforeValidator(_told_by_name(AnyOffline))]
StagingKeys = Annotated[dict[kinds.Name, AnyStaging], BeforeValidator(_told_by_name(AnyStaging))]
LiveKeys = dict[kinds.Name, PrometheusKeys]
ProductionKeys = Annotated[dict[kinds.Name, AnyProduction], BeforeValidator(_told_by_name(AnyProduction))]


class PromotionKeys(Keys):
    """The gates of each stage of a promotion; a stage that is not named has none."""

    offline: OfflineKeys = written({})
    """Before staging: what the registry knows of the version, alone and beside the champion."""
    staging: StagingKeys = written({})
    """Before production: a server of the version under load."""
    live: LiveKeys = written({})
    """In production: what Prometheus sees, beside the gates that watch the rollout's own traffic."""
    production: ProductionKeys = written({})
    """Before the end: shadow, limits, outcomes and people."""

    def gates(self) -> PromotionGates:
        return PromotionGates(
            offline=_made(self.offline),
            staging=_made(self.staging),
            live=_made(self.live),
            production=_made(self.production),
        )


def _made(rules: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(rule.gate(name) for name, rule in rules.items())
