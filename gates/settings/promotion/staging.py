"""The keys of the staging gates: a server of the version under load."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gates.promotion.rule import Bounds
from gates.promotion.staging import LoadGate, Measure
from gates.settings import kinds
from gates.settings.kinds import written
from gates.settings.promotion.rules import RuleKeys, told_by_name
from gates.settings.promotion.series import PrometheusKeys


class LatencyKeys(RuleKeys):
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


class ErrorRateKeys(RuleKeys):
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


class MemoryKeys(RuleKeys):
    """The resident memory of the server and its workers, at its highest."""

    metric: Literal["memory"] = "memory"
    """What is watched. A gate that is named after it need not say."""
    max: kinds.Size
    """The most that passes: 1024MiB."""

    def gate(self, name: str) -> LoadGate:
        return LoadGate(
            name=name, severity=self.severity, measure="memory", bounds=Bounds(most=float(self.max), unit="MiB")
        )


class CpuKeys(RuleKeys):
    """The processor time of the server and its workers, as a share of all cores."""

    metric: Literal["cpu"] = "cpu"
    """What is watched. A gate that is named after it need not say."""
    max: kinds.Share
    """The largest share that passes, with its % sign: 80%."""

    def gate(self, name: str) -> LoadGate:
        return LoadGate(name=name, severity=self.severity, measure="cpu", bounds=Bounds(most=self.max, unit="%"))


class ColdStartKeys(RuleKeys):
    """How soon a new server of the version answers, with files and caches warm."""

    metric: Literal["cold_start"] = "cold_start"
    """What is watched. A gate that is named after it need not say."""
    max: kinds.Deadline
    """The longest that passes: 2s."""
    of: Literal["model", "server"] = "model"
    """model is what the version itself takes: to be loaded, with all that it imports. server is the whole, from the
    process's start to its first good answer to /ping, the serving software's own start included: that is the same for
    every version, and some seconds with mlflow models serve."""

    def gate(self, name: str) -> LoadGate:
        measure: Measure = "loading" if self.of == "model" else "cold_start"
        return LoadGate(name=name, severity=self.severity, measure=measure, bounds=Bounds(most=self.max, unit="s"))


class LoggingKeys(RuleKeys):
    """The share of requests that stand in the server's log."""

    metric: Literal["logging"] = "logging"
    """What is watched. A gate that is named after it need not say."""
    min: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The smallest share that passes, from 0 to 1."""

    def gate(self, name: str) -> LoadGate:
        return LoadGate(name=name, severity=self.severity, measure="logging", bounds=Bounds(least=self.min, unit="%"))


AnyStaging = Annotated[
    LatencyKeys | ErrorRateKeys | MemoryKeys | CpuKeys | ColdStartKeys | LoggingKeys | PrometheusKeys,
    Field(discriminator="metric"),
]
StagingKeys = Annotated[dict[kinds.Name, AnyStaging], BeforeValidator(told_by_name(AnyStaging))]
