"""Staging gates: a candidate's server under load, by what was measured from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gates.promotion.rule import Bounds, Rule, amount
from gates.promotion.series import Series, SeriesGate
from gates.verdict import GateResult, Verdict

Measure = Literal["latency", "error_rate", "throughput", "memory", "cpu", "cold_start", "loading", "logging"]


@dataclass(frozen=True, slots=True)
class Measurements:
    """What a load of `requests` has shown. Latencies are in seconds by quantile (0.95), `memory` in bytes at its
    highest, `cpu` the share of one core, `logging` the share of requests that the server logged. `cold_start` is from
    the server's start to its first good answer, `loading` the version's own part of that: the rest is its software's.
    None is what could not be measured, such as the memory of a server that was not started here."""

    requests: int = 0
    failures: int = 0
    seconds: float = 0.0
    latencies: Mapping[float, float] = field(default_factory=dict)
    memory: float | None = None
    cpu: float | None = None
    cold_start: float | None = None
    loading: float | None = None
    logging: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadGate(Rule):
    """One measure within bounds; `quantile` is that of a latency. Fewer than `min_requests` say nothing about rates and
    latencies."""

    measure: Measure
    bounds: Bounds
    quantile: float = 0.95
    min_requests: int = 100

    def judge(self, seen: Measurements) -> GateResult:
        value = self._value(seen)
        if value is None:
            return self.lacking(self.bounds.limit, f"{self._named()}: not measured", seen.source)
        told = f"{self._named()} {amount(value, self.bounds.unit)}"
        if self.measure in ("latency", "error_rate") and seen.requests < self.min_requests:
            few = f"{told} of {seen.requests} requests: at least {self.min_requests} asked to tell"
            return self.lacking(self.bounds.limit, few, seen.source)
        verdict = Verdict.PASS if self.bounds.holds(value) else Verdict.FAIL
        reason = f"{told}{self._beside(seen)}: {self.bounds} asked"
        return self.result(verdict, value, self.bounds.limit, reason, seen.source, observations=max(seen.requests, 1))

    def _value(self, seen: Measurements) -> float | None:
        match self.measure:
            case "latency":
                return seen.latencies.get(self.quantile)
            case "error_rate":
                return seen.failures / seen.requests if seen.requests else None
            case "throughput":
                return seen.requests / seen.seconds if seen.seconds else None
            case measured:
                value: float | None = getattr(seen, measured)
                return value

    def _named(self) -> str:
        match self.measure:
            case "latency":
                return f"p{self.quantile * 100:g}"
            case "loading":
                return "cold start of the model"
            case measure:
                return measure.replace("_", " ")

    def _beside(self, seen: Measurements) -> str:
        """Of a start, the part that the gate does not judge."""
        match self.measure:
            case "loading" if seen.cold_start is not None:
                return f", of the server with its software {amount(seen.cold_start, 's')}"
            case "cold_start" if seen.loading is not None:
                return f", of the model alone {amount(seen.loading, 's')}"
            case _:
                return ""


StagingGate = LoadGate | SeriesGate


def judge(
    gates: Sequence[StagingGate], seen: Measurements, series: Mapping[str, Sequence[Series]], prometheus: str
) -> tuple[GateResult, ...]:
    """`series` are the answers of Prometheus, by gate."""
    return tuple(
        gate.judge(series.get(gate.name, ()), prometheus) if isinstance(gate, SeriesGate) else gate.judge(seen)
        for gate in gates
    )
