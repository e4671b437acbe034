"""A live gate: a named rule over what a candidate answered, and the budget for what chance may do to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gates.evidence import LARGEST_RATE
from gates.verdict import Severity
from proxy.snapshot import Phase

Metric = Literal["error_rate", "latency", "agreement"]
Against = Literal["champion", "pairs", "noise_floor"]
Scope = Literal["shadow", "ramp", "bake", "all"]
Per = Literal["request", "unit"]

_MEASURES: dict[Metric, tuple[Against, ...]] = {
    "error_rate": ("champion", "pairs"),
    "latency": ("champion",),
    "agreement": ("noise_floor",),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """A named rule over the candidate's answers, served and mirrored alike.

    `limit` is the largest share of failures (error_rate), the latency in seconds that the `quantile` may reach
    (latency), or the smallest share of compared pairs that agree (agreement). With a `margin` the candidate is measured
    against something as well: it may reach the limit, or (1 + margin) times the measure, whichever is more; a latency
    may then have a limit of 0. The measure is what the champion shows on the requests that it answers (champion), how
    often the champion alone fails of two that answered the same request (pairs), or how often the champion differs
    from itself (noise_floor).

    `scope` names the stages that the gate watches. `per` unit counts the first answer of each unit alone, as the
    requests of one user stand or fall together. It never passes before `min_requests` trials, nor, of agreement,
    while less than `min_coverage` of the comparable pairs were compared; it may fail sooner, as bad answers wait for
    nobody. It is judged `by` each of a slice's `values` as well, where one is named."""

    name: str
    metric: Metric
    limit: float
    quantile: float = 0.99
    severity: Severity = "critical"
    margin: float | None = None
    scope: Scope = "all"
    min_requests: int = 0
    against: Against | None = None
    per: Per = "request"
    min_coverage: float = 0.0
    by: str = ""
    values: int = 0

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("gate: name is empty")
        if not 0 < self.bound < LARGEST_RATE:
            raise ValueError(f"gate {self.name}: a limit of {self.limit:g} cannot be decided by any number of requests")
        if self.limit < 0 or (self.limit == 0 and self.margin is None):
            raise ValueError(f"gate {self.name}: limit must be above 0")
        if (self.margin is None) != (self.against is None):
            raise ValueError(f"gate {self.name}: a margin belongs to what the candidate is measured against")
        if self.against is not None and self.against not in _MEASURES[self.metric]:
            raise ValueError(f"gate {self.name}: {self.metric} is not measured against {self.against}")
        if self.margin is not None and not 0 <= self.margin < math.inf:
            raise ValueError(f"gate {self.name}: a margin of {self.margin:g} makes no sense")
        if bool(self.by) != (self.values > 0):
            raise ValueError(f"gate {self.name}: a slice has at least one value")
        if self.by and self.against in ("pairs", "noise_floor"):
            raise ValueError(f"gate {self.name}: {self.against} is not told apart by slice")
        if self.min_requests < 0:
            raise ValueError(f"gate {self.name}: min_requests must not be negative")

    @property
    def bound(self) -> float:
        """The largest lawful rate of the gate's unwanted event: a failure, a slow answer, a disagreement."""
        if self.metric == "error_rate":
            return self.limit
        return 1 - self.quantile if self.metric == "latency" else 1 - self.limit

    def watches(self, phase: Phase) -> bool:
        """Whether it is judged in a stage of this phase: shadow, ramp or bake."""
        return self.scope in ("all", phase)


@dataclass(frozen=True, slots=True)
class Budget:
    """What may go wrong by chance in one rollout: a false rollback (`false_alarm`), a wrong pass of a gate in a stage
    (`false_pass`)."""

    false_alarm: float = 0.01
    false_pass: float = 0.05

    def __post_init__(self) -> None:
        if not (0 < self.false_alarm < 1 and 0 < self.false_pass < 1):
            raise ValueError("budget: probabilities must be between 0 and 1")


def describe(gate: Gate, value: float) -> str:
    """A value of the gate's in words: `p99 12.5 ms`, `0.35 % errors`, `98.20 % agreement`."""
    if gate.metric == "latency":
        return f"p{gate.quantile * 100:g} {value * 1000:.4g} ms"
    return f"{value:.2%} {'errors' if gate.metric == 'error_rate' else 'agreement'}".replace("%", " %", 1)


def terms_of(gate: Gate) -> str:
    """What the gate allows, in words: `at most 1.00 % errors, or 1.5 times the champion's`."""
    absolute = f"{'at least' if gate.metric == 'agreement' else 'at most'} {describe(gate, gate.limit)}"
    if gate.margin is None:
        return absolute
    times = f"{1 + gate.margin:g} times"
    match gate.against:
        case "pairs":
            return f"{absolute}, or failing alone {times} as often as the champion does"
        case "noise_floor":
            return f"{absolute}, or differing {times} as often as the champion does from itself"
    if gate.limit:
        return f"{absolute}, or {times} the champion's"
    return f"at most {times} the champion's p{gate.quantile * 100:g}"
