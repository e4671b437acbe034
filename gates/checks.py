"""Live gates: a rule over a window, judged by evidence that may be looked at after every request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gates.evidence import (
    LARGEST_RATE,
    RateWatch,
    RatioWatch,
    Tally,
    both,
    either,
    log_evidence_below,
    log_evidence_no_slower,
    log_evidence_slower,
    slower_than,
    threshold,
)
from gates.verdict import GateResult, Severity, Verdict
from proxy.histogram import Histogram
from proxy.snapshot import Phase
from proxy.window import LaneTally, SliceTally, Window

Metric = Literal["error_rate", "latency", "agreement"]
Scope = Literal["shadow", "ramp", "bake", "all"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A named rule over the candidate's answers, served and mirrored alike.

    `limit` is the largest share of failures (error_rate), the latency in seconds that the `quantile` may reach
    (latency), or the smallest share of compared pairs that agree (agreement). With a `margin` the candidate is measured
    against the champion: it may reach the limit, or (1 + margin) times what the champion shows, whichever is more; a
    latency may then have a limit of 0. `scope` names the stages that the gate watches. It never passes before
    `min_requests` trials, nor, of agreement, while less than `min_coverage` of the comparable pairs were compared; it
    may fail sooner, as bad answers wait for nobody."""

    name: str
    metric: Metric
    limit: float
    quantile: float = 0.99
    severity: Severity = "critical"
    margin: float | None = None
    scope: Scope = "all"
    min_requests: int = 0
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
        if self.margin is not None and (self.metric == "agreement" or not 0 <= self.margin < math.inf):
            raise ValueError(f"gate {self.name}: a margin of {self.margin:g} over the champion's makes no sense")
        if bool(self.by) != (self.values > 0):
            raise ValueError(f"gate {self.name}: a slice has at least one value")
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


@dataclass(frozen=True, slots=True)
class GateWatch:
    """What is kept of one gate in one stage from look to look; JSON keeps it exactly.

    `against` is there for an error rate with a margin alone: all other comparisons are told by the totals. `slices` are
    those of a gate that is `by` one, each value's in the order in which they were first seen."""

    gate: str
    rate: RateWatch
    against: RatioWatch | None
    slices: tuple[SliceWatch, ...] = ()

    @classmethod
    def fresh(cls, gate: Gate) -> GateWatch:
        compares = gate.metric == "error_rate" and gate.margin is not None
        return cls(gate.name, RateWatch(), RatioWatch() if compares else None)

    def looked(self, gate: Gate, window: Window) -> GateWatch:
        """After a look at the stage's window. Totals that fell, because a worker counts anew under its old name, teach
        nothing until they are past what was seen."""
        seen = counts_of(gate, window)
        rate, against = self.rate, self.against
        if _grown(seen.surely, rate.seen):
            rate = rate.looked(seen.surely, gate.bound)
        if (
            against is not None
            and gate.margin is not None
            and _grown(seen.surely, against.seen)
            and _grown(seen.champion, against.champion_seen)
        ):
            against = against.looked(seen.surely, seen.champion, gate.margin)
        return GateWatch(self.gate, rate, against, looked_by_slice(gate, self.slices, window) if gate.by else ())


@dataclass(frozen=True, slots=True)
class SliceWatch:
    """What is kept of one value of the slice that a gate is `by`."""

    value: str
    watch: GateWatch


def looked_by_slice(gate: Gate, known: tuple[SliceWatch, ...], window: Window) -> tuple[SliceWatch, ...]:
    """After a look at each value by itself. Values beyond the gate's number are not looked at: the busiest come first,
    and which they are does not depend on how they were answered."""
    within, seen = whole_of(gate), window.slices.get(gate.by, {})
    fresh = sorted(seen.keys() - {one.value for one in known}, key=lambda value: (-_busy(seen[value]), value))
    watches = (*known, *(SliceWatch(value, GateWatch.fresh(within)) for value in fresh))[: gate.values]
    return tuple(
        SliceWatch(one.value, one.watch.looked(within, seen[one.value].window)) if one.value in seen else one
        for one in watches
    )


def whole_of(gate: Gate) -> Gate:
    """The same gate over all that it is shown."""
    return replace(gate, by="", values=0)


def _busy(tally: SliceTally) -> int:
    return tally.champion.answers + tally.candidate.answers


@dataclass(frozen=True, slots=True)
class Counts:
    """The gate's unwanted events out of its trials: those that are sure (to fail it by), those that are possible (to
    pass it by), and the champion's; and the values that a person would read."""

    surely: Tally
    possibly: Tally
    champion: Tally
    value: float | None
    champion_value: float | None


def look(gates: Sequence[Gate], watches: Iterable[GateWatch], window: Window) -> tuple[GateWatch, ...]:
    """A watch for each gate, after a look at the window; one that was not watched yet begins now."""
    known = {watch.gate: watch for watch in watches}
    return tuple(known.get(gate.name, GateWatch.fresh(gate)).looked(gate, window) for gate in gates)


def judge(
    gates: Sequence[Gate], watches: Sequence[GateWatch], window: Window, alarm_alpha: float, pass_alpha: float
) -> tuple[GateResult, ...]:
    """Judge each gate by its watch, which has looked at the window."""
    pairs = zip(gates, watches, strict=True)
    return tuple(judge_one(gate, watch, window, alarm_alpha, pass_alpha) for gate, watch in pairs)


def judge_one(gate: Gate, watch: GateWatch, window: Window, alarm_alpha: float, pass_alpha: float) -> GateResult:
    """FAIL at evidence 1/alarm_alpha for a rate above what is allowed, PASS at 1/pass_alpha for one below it."""
    seen = counts_of(gate, window)
    to_fail = evidence_to_fail(gate, watch, window) / threshold(alarm_alpha)
    to_pass = evidence_to_pass(gate, watch, window) / threshold(pass_alpha)
    enough = seen.surely.trials >= gate.min_requests and not too_little_covered(gate, window)
    verdict = Verdict.FAIL if to_fail >= 1 else Verdict.PASS if to_pass >= 1 and enough else Verdict.INSUFFICIENT
    if seen.surely.trials < gate.min_requests:
        to_pass = min(to_pass, seen.surely.trials / gate.min_requests)
    return GateResult(
        gate=gate.name,
        severity=gate.severity,
        verdict=verdict,
        value=seen.value,
        limit=_allowed(gate, seen),
        observations=seen.surely.trials,
        events=seen.surely.events,
        toward_pass=min(max(to_pass, 0.0), 1.0),
        toward_fail=min(max(to_fail, 0.0), 1.0),
        reason=_reason(gate, seen, verdict) + _uncovered(gate, window, verdict) + _worst_value(gate, watch, window),
    )


def evidence_to_fail(gate: Gate, watch: GateWatch, window: Window) -> float:
    """log E against "the candidate keeps within what the gate allows".

    Of a slice, "for each value": the mean of the values' evidence is evidence (Vovk & Wang 2021), those not seen yet at
    1. So however many values are looked at, a false alarm is no likelier than with one."""
    if gate.by:
        logs = [log_e for _, log_e in by_value(gate, watch, window)]
        return float(np.logaddexp.reduce([*logs, *[0.0] * (gate.values - len(logs))]) - math.log(gate.values))
    above = watch.rate.above.log_evidence
    if gate.margin is None:
        return above
    if watch.against is not None:
        return float(both(above, watch.against.worse.log_evidence))
    return float(both(above, log_evidence_slower(*_latencies(window), gate.quantile, gate.margin)))


def by_value(gate: Gate, watch: GateWatch, window: Window) -> list[tuple[str, float]]:
    """Each value of the gate's slice, and the log E to fail by it."""
    within, seen = whole_of(gate), window.slices.get(gate.by, {})
    nothing = SliceTally()
    return [
        (one.value, evidence_to_fail(within, one.watch, seen.get(one.value, nothing).window)) for one in watch.slices
    ]


def evidence_to_pass(gate: Gate, watch: GateWatch, window: Window) -> float:
    """log E against "the candidate breaks what the gate allows"."""
    possibly = counts_of(gate, window).possibly
    below = log_evidence_below(possibly.events, possibly.trials, gate.bound)
    if gate.margin is None:
        return below
    if watch.against is not None:
        return float(either(below, watch.against.no_worse.log_evidence))
    return float(either(below, log_evidence_no_slower(*_latencies(window), gate.quantile, gate.margin)))


def too_little_covered(gate: Gate, window: Window) -> bool:
    """Whether so few of the pairs were compared that those few may not stand for the rest."""
    covered = window.agreement.coverage
    return gate.metric == "agreement" and covered is not None and covered < gate.min_coverage


def _uncovered(gate: Gate, window: Window, verdict: Verdict) -> str:
    """What a person has to know of an agreement that rests on part of the pairs."""
    if verdict is not Verdict.INSUFFICIENT or not too_little_covered(gate, window):
        return ""
    pairs = window.agreement
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(pairs.skipped.items(), key=lambda one: -one[1]))
    return (
        f"; {pairs.compared} of {pairs.comparable} pairs compared, at least {gate.min_coverage:.0%} asked ({reasons})"
    )


def _worst_value(gate: Gate, watch: GateWatch, window: Window) -> str:
    """The value of the slice that has most against it."""
    values = by_value(gate, watch, window) if gate.by else []
    if not values:
        return ""
    worst, _ = max(values, key=lambda one: one[1])
    seen = counts_of(gate, window.slices.get(gate.by, {}).get(worst, SliceTally()).window)
    return (
        f"; {gate.by} {worst}: {describe(gate, seen.value)}, {_counted(gate, seen)}" if seen.value is not None else ""
    )


def counts_of(gate: Gate, window: Window) -> Counts:
    if gate.metric == "agreement":
        pairs = window.agreement
        tally = Tally(pairs.disagreed, pairs.compared)
        return Counts(tally, tally, Tally(), _share(pairs.compared - pairs.disagreed, pairs.compared), None)
    ours, theirs = candidate_lane(window), champion_lane(window)
    if gate.metric == "error_rate":
        tally, other = Tally(ours.failures, ours.answers), Tally(theirs.failures, theirs.answers)
        shares = (_share(ours.failures, ours.answers), _share(theirs.failures, theirs.answers))
        return Counts(tally, tally, other, *shares)
    total = ours.latency.total
    surely, possibly = slower_than(ours.latency, gate.limit)
    quantiles = (ours.latency.quantile(gate.quantile), theirs.latency.quantile(gate.quantile))
    return Counts(Tally(surely, total), Tally(possibly, total), Tally(0, theirs.latency.total), *quantiles)


def candidate_lane(window: Window) -> LaneTally:
    """What the candidate answered, to clients and to copies."""
    return window.candidate.merged(window.candidate_shadow)


def champion_lane(window: Window) -> LaneTally:
    """What the champion answered, to clients and to copies."""
    return window.champion.merged(window.champion_shadow)


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
    relative = f"{1 + gate.margin:g} times the champion's"
    if gate.limit:
        return f"{absolute}, or {relative}"
    return f"at most {relative} p{gate.quantile * 100:g}"


def _latencies(window: Window) -> tuple[Histogram, Histogram]:
    return candidate_lane(window).latency, champion_lane(window).latency


def _grown(totals: Tally, seen: Tally) -> bool:
    return totals.events >= seen.events and totals.trials >= seen.trials


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _allowed(gate: Gate, seen: Counts) -> float:
    """The limit as it is now: the champion's value moves it, where there is a margin."""
    if gate.margin is None or seen.champion_value is None:
        return gate.limit
    return max(gate.limit, (1 + gate.margin) * seen.champion_value)


_EVENTS = {"error_rate": "failed", "latency": "slow", "agreement": "differing"}


def _reason(gate: Gate, seen: Counts, verdict: Verdict) -> str:
    if seen.value is None:
        return "no data"
    told = f"{describe(gate, seen.value)}, {_counted(gate, seen)}"
    if verdict is Verdict.INSUFFICIENT:
        return f"{told}: too few to tell from {terms_of(gate)}"
    return f"{told}: {terms_of(gate)} asked"


def _counted(gate: Gate, seen: Counts) -> str:
    """The counts that the verdict rests on."""
    ours = f"{seen.surely.events} {_EVENTS[gate.metric]} of {seen.surely.trials}"
    if gate.margin is None:
        return ours
    if seen.champion_value is None:
        return f"{ours}; the champion has answered nothing"
    if gate.metric == "latency":
        theirs = f"{describe(gate, seen.champion_value)} of {seen.champion.trials}"
        return f"of {seen.surely.trials}; the champion's {theirs}"
    return f"{ours}; the champion's {seen.champion.events} of {seen.champion.trials}"
