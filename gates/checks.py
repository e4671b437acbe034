"""Live gates: a rule over a window, judged by evidence that may be looked at after every request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gates.evidence import LARGEST_RATE, log_evidence_above, log_evidence_below
from gates.verdict import GateResult, Severity, Verdict
from proxy.window import Window

Metric = Literal["error_rate", "latency", "agreement"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A named rule over the candidate's answers, served and mirrored alike.

    `limit` is the largest share of failures (error_rate), the latency in seconds that the `quantile` may reach
    (latency), or the smallest share of compared pairs that agree (agreement)."""

    name: str
    metric: Metric
    limit: float
    quantile: float = 0.99
    severity: Severity = "critical"

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("gate: name is empty")
        if not 0 < self.bound < LARGEST_RATE:
            raise ValueError(f"gate {self.name}: a limit of {self.limit:g} cannot be decided by any number of requests")
        if self.limit <= 0:
            raise ValueError(f"gate {self.name}: limit must be above 0")

    @property
    def bound(self) -> float:
        """The largest lawful rate of the gate's unwanted event: a failure, a slow answer, a disagreement."""
        if self.metric == "error_rate":
            return self.limit
        return 1 - self.quantile if self.metric == "latency" else 1 - self.limit


@dataclass(frozen=True, slots=True)
class Budget:
    """What may go wrong by chance in one rollout: a false rollback (`false_alarm`), a wrong pass of a gate in a stage
    (`false_pass`)."""

    false_alarm: float = 0.01
    false_pass: float = 0.05

    def __post_init__(self) -> None:
        if not (0 < self.false_alarm < 1 and 0 < self.false_pass < 1):
            raise ValueError("budget: probabilities must be between 0 and 1")

    def alarm_alpha(self, gates: Sequence[Gate], stages: int) -> float:
        """Each critical gate's part in each stage (union bound); advisory gates cannot roll back, and take the same
        part."""
        critical = sum(gate.severity == "critical" for gate in gates)
        return self.false_alarm / (max(critical, 1) * stages)


@dataclass(frozen=True, slots=True)
class _Counts:
    """The gate's unwanted events out of its trials, and the value that a person would read."""

    events: int
    trials: int
    value: float | None


def evaluate_all(gates: Sequence[Gate], window: Window, budget: Budget, stages: int) -> tuple[GateResult, ...]:
    """Judge every gate on the window of the present stage of a plan of `stages` stages."""
    alarm = budget.alarm_alpha(gates, stages)
    return tuple(evaluate(gate, window, alarm, budget.false_pass) for gate in gates)


def evaluate(gate: Gate, window: Window, alarm_alpha: float, pass_alpha: float) -> GateResult:
    """FAIL at evidence 1/alarm_alpha for a rate above the bound, PASS at 1/pass_alpha for one below it."""
    counts = _count(gate, window)
    to_fail = log_evidence_above(counts.events, counts.trials, gate.bound) / -math.log(alarm_alpha)
    to_pass = log_evidence_below(counts.events, counts.trials, gate.bound) / -math.log(pass_alpha)
    verdict = Verdict.FAIL if to_fail >= 1 else Verdict.PASS if to_pass >= 1 else Verdict.INSUFFICIENT
    return GateResult(
        gate=gate.name,
        severity=gate.severity,
        verdict=verdict,
        value=counts.value,
        limit=gate.limit,
        observations=counts.trials,
        events=counts.events,
        toward_pass=min(max(to_pass, 0.0), 1.0),
        toward_fail=min(max(to_fail, 0.0), 1.0),
        reason=_reason(gate, counts, verdict),
    )


def _count(gate: Gate, window: Window) -> _Counts:
    if gate.metric == "agreement":
        pairs = window.agreement
        return _Counts(pairs.disagreed, pairs.compared, _share(pairs.compared - pairs.disagreed, pairs.compared))
    lane = window.candidate.merged(window.candidate_shadow)
    if gate.metric == "error_rate":
        return _Counts(lane.failures, lane.answers, _share(lane.failures, lane.answers))
    return _Counts(lane.latency.above(gate.limit), lane.latency.total, lane.latency.quantile(gate.quantile))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


_EVENTS = {"error_rate": "failed", "latency": "slow", "agreement": "differing"}


def _reason(gate: Gate, counts: _Counts, verdict: Verdict) -> str:
    if counts.value is None:
        return "no data"
    seen = f"{describe(gate, counts.value)}, {counts.events} {_EVENTS[gate.metric]} of {counts.trials}"
    allowed = f"{'at least' if gate.metric == 'agreement' else 'at most'} {describe(gate, gate.limit)}"
    if verdict is Verdict.INSUFFICIENT:
        return f"{seen}: too few to tell from {allowed}"
    return f"{seen}: {allowed} asked"


def describe(gate: Gate, value: float) -> str:
    """A value of the gate's in words: `p99 12.5 ms`, `0.35 % errors`, `98.20 % agreement`."""
    if gate.metric == "latency":
        return f"p{gate.quantile * 100:g} {value * 1000:.4g} ms"
    return f"{value:.2%} {'errors' if gate.metric == 'error_rate' else 'agreement'}".replace("%", " %", 1)
