"""Live gates over windows, judged by evidence that may be looked at after every request."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gates.counts import Counts, counts_of, latencies, partial, seen_by, too_few_copies, too_little_covered
from gates.evidence import (
    RateWatch,
    RatioWatch,
    Tally,
    both,
    either,
    log_evidence_below,
    log_evidence_no_slower,
    log_evidence_paired_no_worse,
    log_evidence_slower,
    pair_bound,
    threshold,
)
from gates.gate import Gate, describe, terms_of
from gates.verdict import GateResult, Verdict
from proxy.tally import SliceTally
from proxy.window import Window, window_of


@dataclass(frozen=True, slots=True)
class GateWatch:
    """What is kept of one gate in one stage from look to look; JSON keeps it exactly.

    `against` is there for two rates (errors against the champion's, disagreements against the noise floor), `pairs` for
    requests that both answered; a latency's comparison is told by the totals. `slices` are those of a gate that is `by`
    one, each value's in the order in which they were first seen."""

    gate: str
    rate: RateWatch
    against: RatioWatch | None = None
    pairs: RateWatch | None = None
    slices: tuple[SliceWatch, ...] = ()

    @classmethod
    def fresh(cls, gate: Gate) -> GateWatch:
        two_rates = gate.against is not None and gate.against != "pairs" and gate.metric != "latency"
        return cls(
            gate.name,
            RateWatch(),
            RatioWatch() if two_rates else None,
            RateWatch() if gate.against == "pairs" else None,
        )

    def looked(self, gate: Gate, window: Window) -> GateWatch:
        """After a look at the stage's window. Totals that fell, because a worker counts anew under its old name, teach
        nothing until they are past what was seen."""
        seen = counts_of(gate, window)
        rate, against, pairs = self.rate, self.against, self.pairs
        if _grown(seen.surely, rate.seen):
            rate = rate.looked(seen.surely, gate.bound)
        if (
            against is not None
            and gate.margin is not None
            and _grown(seen.surely, against.seen)
            and _grown(seen.measure, against.champion_seen)
        ):
            against = against.looked(seen.surely, seen.measure, gate.margin)
        if pairs is not None and gate.margin is not None and _grown(seen.pairs, pairs.seen):
            pairs = pairs.looked(seen.pairs, pair_bound(gate.margin))
        return GateWatch(self.gate, rate, against, pairs, looked_by_slice(gate, self.slices, window) if gate.by else ())


@dataclass(frozen=True, slots=True)
class SliceWatch:
    """What is kept of one value of the slice that a gate is `by`."""

    value: str
    watch: GateWatch


def looked_by_slice(gate: Gate, known: tuple[SliceWatch, ...], window: Window) -> tuple[SliceWatch, ...]:
    """After a look at each value by itself. Values beyond the gate's number are not looked at: the busiest come first,
    and which they are does not depend on how they were answered."""
    within, seen = whole_of(gate), slices_of(gate, window)
    fresh = sorted(seen.keys() - {one.value for one in known}, key=lambda value: (-_busy(seen[value]), value))
    watches = (*known, *(SliceWatch(value, GateWatch.fresh(within)) for value in fresh))[: gate.values]
    return tuple(
        SliceWatch(one.value, one.watch.looked(within, window_of(seen[one.value]))) if one.value in seen else one
        for one in watches
    )


def slices_of(gate: Gate, window: Window) -> dict[str, SliceTally]:
    """The values of the gate's slice, with what the gate counts of each."""
    return seen_by(gate, window).slices.get(gate.by, {})


def whole_of(gate: Gate) -> Gate:
    """The same gate over all that it is shown."""
    return replace(gate, by="", values=0, per="request")


def _busy(tally: SliceTally) -> int:
    return tally.champion.answers + tally.candidate.answers


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
    enough = seen.possibly.trials >= gate.min_requests and not partial(gate, window)
    verdict = Verdict.FAIL if to_fail >= 1 else Verdict.PASS if to_pass >= 1 and enough else Verdict.INSUFFICIENT
    if seen.possibly.trials < gate.min_requests:
        to_pass = min(to_pass, seen.possibly.trials / gate.min_requests)
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
    if watch.pairs is not None:
        return float(both(above, watch.pairs.above.log_evidence))
    return float(both(above, log_evidence_slower(*latencies(gate, window), gate.quantile, gate.margin)))


def by_value(gate: Gate, watch: GateWatch, window: Window) -> list[tuple[str, float]]:
    """Each value of the gate's slice, and the log E to fail by it."""
    within, seen, nothing = whole_of(gate), slices_of(gate, window), SliceTally()
    return [
        (one.value, evidence_to_fail(within, one.watch, window_of(seen.get(one.value, nothing))))
        for one in watch.slices
    ]


def evidence_to_pass(gate: Gate, watch: GateWatch, window: Window) -> float:
    """log E against "the candidate breaks what the gate allows"."""
    seen = counts_of(gate, window)
    below = log_evidence_below(seen.possibly.events, seen.possibly.trials, gate.bound)
    if gate.margin is None:
        return below
    if watch.against is not None:
        return float(either(below, watch.against.no_worse.log_evidence))
    if watch.pairs is not None:
        candidate, champion = seen.pairs.events, seen.pairs.trials - seen.pairs.events
        return float(either(below, log_evidence_paired_no_worse(candidate, champion, gate.margin)))
    return float(either(below, log_evidence_no_slower(*latencies(gate, window), gate.quantile, gate.margin)))


def _uncovered(gate: Gate, window: Window, verdict: Verdict) -> str:
    """What a person has to know of a gate that rests on part of the copies, or of the pairs."""
    if verdict is not Verdict.INSUFFICIENT:
        return ""
    seen, said = seen_by(gate, window), ""
    if too_few_copies(gate, window):
        said = f"; {seen.shadow.known} of {seen.shadow.offered} copies sent, at least half of them asked"
        said += f" ({_by_reason(seen.shadow.dropped)})"
    if too_little_covered(gate, window):
        pairs = seen.agreement
        said += f"; {pairs.compared} of {pairs.comparable} pairs compared, at least {gate.min_coverage:.0%} asked"
        said += f" ({_by_reason(pairs.skipped)})"
    return said


def _by_reason(counts: Mapping[str, int]) -> str:
    """The most frequent first."""
    return ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items(), key=lambda one: -one[1]))


def _worst_value(gate: Gate, watch: GateWatch, window: Window) -> str:
    """The value of the slice that has most against it."""
    values = by_value(gate, watch, window) if gate.by else []
    if not values:
        return ""
    worst, _ = max(values, key=lambda one: one[1])
    seen = counts_of(whole_of(gate), window_of(slices_of(gate, window).get(worst, SliceTally())))
    return (
        f"; {gate.by} {worst}: {describe(gate, seen.value)}, {_counted(gate, seen)}" if seen.value is not None else ""
    )


def _grown(totals: Tally, seen: Tally) -> bool:
    return totals.events >= seen.events and totals.trials >= seen.trials


def _allowed(gate: Gate, seen: Counts) -> float:
    """The limit as it is now: what the gate measures against moves it, where that is a value of the same kind."""
    if gate.margin is None or seen.measure_value is None or gate.against == "pairs":
        return gate.limit
    if gate.against == "noise_floor":
        return min(gate.limit, max(0.0, 1 - (1 + gate.margin) * (1 - seen.measure_value)))
    return max(gate.limit, (1 + gate.margin) * seen.measure_value)


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
    each = " units" if gate.per == "unit" else ""
    ours = f"{seen.surely.events} {_EVENTS[gate.metric]} of {seen.surely.trials}{each}"
    if gate.margin is None:
        return ours
    if gate.against == "pairs":
        return f"{ours}; alone {seen.pairs.events}, and the champion alone {seen.pairs.trials - seen.pairs.events}"
    if gate.against == "noise_floor":
        return f"{ours}; the champion from itself {seen.measure.events} of {seen.measure.trials}"
    if seen.measure_value is None:
        return f"{ours}; the champion has answered nothing"
    if gate.metric == "latency":
        theirs = f"{describe(gate, seen.measure_value)} of {seen.measure.trials}"
        return f"of {seen.surely.trials}{each}; the champion's {theirs}"
    return f"{ours}; the champion's {seen.measure.events} of {seen.measure.trials}"
