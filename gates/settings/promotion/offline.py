"""The keys of the offline gates: what the registry knows of a version."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from gates.promotion.offline import Better, Checksums, MetricNames, Naming, Noted, Score, SignatureGate, Size
from gates.promotion.rule import Bounds
from gates.settings import kinds
from gates.settings.kinds import contradiction, written
from gates.settings.promotion.rules import BoundKeys, RuleKeys, told_by_name


class ScoreKeys(BoundKeys):
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


class SizeKeys(RuleKeys):
    """The bytes of all files of the model."""

    metric: Literal["size"] = "size"
    """What is watched. A gate that is named after it need not say."""
    max: kinds.Size
    """The most that passes: 100MiB."""

    def gate(self, name: str) -> Size:
        return Size(name=name, severity=self.severity, most=self.max)


class SignatureKeys(RuleKeys):
    """The model has a signature, and it fits the champion's: inputs and outputs, column by column."""

    metric: Literal["signature"] = "signature"
    """What is watched. A gate that is named after it need not say."""

    def gate(self, name: str) -> SignatureGate:
        return SignatureGate(name=name, severity=self.severity)


class NotedKeys(RuleKeys):
    """Tags or parameters of the version or its run that must be there: lineage, or the standard tags."""

    metric: Literal["lineage", "tags"]
    """lineage or tags: the same rule, with other names asked for."""
    names: list[kinds.Title]
    """What must be there; a | between names asks for one of them."""
    same: list[kinds.Title] = written([])
    """What must be as the champion has it, such as feature_hash: where the champion has it."""

    def gate(self, name: str) -> Noted:
        return Noted(name=name, severity=self.severity, names=tuple(self.names), same=tuple(self.same))


class ChecksumKeys(RuleKeys):
    """The files are those that were registered, by the tag artifact_sha256."""

    metric: Literal["checksums"] = "checksums"
    """What is watched. A gate that is named after it need not say."""
    files: list[kinds.Title] = written(["MLmodel"])
    """Files that must be there."""

    def gate(self, name: str) -> Checksums:
        return Checksums(name=name, severity=self.severity, files=tuple(self.files))


class NamingKeys(RuleKeys):
    """The model is called by a product's name, without version, date or state."""

    metric: Literal["naming"] = "naming"
    """What is watched. A gate that is named after it need not say."""

    def gate(self, name: str) -> Naming:
        return Naming(name=name, severity=self.severity)


class MetricNamesKeys(RuleKeys):
    """Every logged metric has a canonical name."""

    metric: Literal["metric_names"] = "metric_names"
    """What is watched. A gate that is named after it need not say."""
    names: list[kinds.Title]
    """The canonical names; * stands for anything, such as */* for slices."""

    def gate(self, name: str) -> MetricNames:
        return MetricNames(name=name, severity=self.severity, names=tuple(self.names))


AnyOffline = Annotated[
    ScoreKeys | SizeKeys | SignatureKeys | NotedKeys | ChecksumKeys | NamingKeys | MetricNamesKeys,
    Field(discriminator="metric"),
]
OfflineKeys = Annotated[dict[kinds.Name, AnyOffline], BeforeValidator(told_by_name(AnyOffline))]
