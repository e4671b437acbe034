"""What a gate will need: forecasts for one under way, and what a plan lets it have at the best."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gates.checks import GateWatch, judge_one
from gates.counts import counts_of, latencies, partial
from gates.evidence import (
    RateWatch,
    log_evidence_no_slower,
    log_evidence_slower,
    pair_bound,
    requests_to_fail,
    requests_to_pass,
    requests_to_show_no_worse,
    requests_to_show_worse,
    threshold,
)
from gates.evidence.rate import factors_below
from gates.gate import Budget, Gate
from gates.plan import Plan
from gates.verdict import Verdict
from proxy.histogram import SUB_BUCKETS, Histogram, lower_edge
from proxy.snapshot import BASIS_POINTS, Phase
from proxy.window import Window

LONGEST = 7 * 86_400.0
"""Seconds of traffic; a gate that needs more in one stage is named."""
MOST_TIMES = 1_000
"""As many times what was seen is as far as a latency against the champion's is looked ahead."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The verdict that a gate is heading for, if the rates stay what they are: after so many of the candidate's
    requests more, and so many seconds. None says: none in sight; seconds are None before there is traffic."""

    gate: str
    verdict: Verdict
    requests: int | None
    seconds: float | None


def forecast(
    gate: Gate, watch: GateWatch, window: Window, elapsed: float, alarm_alpha: float, pass_alpha: float
) -> Forecast:
    """`elapsed` is in seconds of the stage's traffic, of which the requests come at an even rate."""
    now = judge_one(gate, watch, window, alarm_alpha, pass_alpha)
    if now.verdict is not Verdict.INSUFFICIENT:
        return Forecast(gate.name, now.verdict, 0, 0.0)
    if not now.observations or not counts_of(gate, window).possibly.trials:
        return Forecast(gate.name, Verdict.INSUFFICIENT, None, None)
    to_fail = _to_fail(gate, watch, window, alarm_alpha)
    to_pass = None if partial(gate, window) else _to_pass(gate, watch, window, pass_alpha)
    if to_pass is not None:
        to_pass = max(to_pass, gate.min_requests - now.observations)
    if to_fail is not None and (to_pass is None or to_fail < to_pass):
        verdict, more = Verdict.FAIL, to_fail
    elif to_pass is not None:
        verdict, more = Verdict.PASS, to_pass
    else:
        return Forecast(gate.name, Verdict.INSUFFICIENT, None, None)
    seconds = more * elapsed / now.observations if elapsed > 0 else None
    return Forecast(gate.name, verdict, more, seconds)


def _to_fail(gate: Gate, watch: GateWatch, window: Window, alpha: float) -> int | None:
    """Where two pieces of evidence are asked for, the slower one decides. By slice nothing is foretold: the rate of the
    whole is none of its values'."""
    if gate.by:
        return None
    seen = counts_of(gate, window)
    above = requests_to_fail(seen.surely.events / seen.surely.trials, gate.bound, alpha, watch.rate.above.logs)
    if gate.margin is None or above is None:
        return above
    return _later(above, _to_worse(gate, watch, window, alpha))


def _to_worse(gate: Gate, watch: GateWatch, window: Window, alpha: float) -> int | None:
    if watch.pairs is not None:
        logs = watch.pairs.above.logs
        return _of_pairs(gate, window, lambda rate, bound: requests_to_fail(rate, bound, alpha, logs))
    if watch.against is None:
        return _slower_ahead(gate, window, log_evidence_slower, alpha)
    rates = _two_rates(gate, window)
    return None if rates is None else requests_to_show_worse(*rates, gate.margin or 0, alpha, watch.against.worse.logs)


def _to_pass(gate: Gate, watch: GateWatch, window: Window, alpha: float) -> int | None:
    """Where one of two pieces of evidence is enough, each has to reach twice as far."""
    possibly = counts_of(gate, window).possibly
    part = alpha if gate.margin is None else alpha / 2
    so_far = factors_below(possibly.events, possibly.trials, gate.bound)
    below = requests_to_pass(possibly.events / possibly.trials, gate.bound, part, so_far)
    if gate.margin is None:
        return below
    return _sooner(below, _to_no_worse(gate, watch, window, part))


def _to_no_worse(gate: Gate, watch: GateWatch, window: Window, alpha: float) -> int | None:
    if watch.pairs is not None:
        seen, bound = counts_of(gate, window).pairs, pair_bound(gate.margin or 0)
        so_far = factors_below(seen.events, seen.trials, bound)
        return _of_pairs(gate, window, lambda rate, bound: requests_to_pass(rate, bound, alpha, so_far))
    if watch.against is None:
        return _slower_ahead(gate, window, log_evidence_no_slower, alpha)
    rates = _two_rates(gate, window)
    if rates is None:
        return None
    return requests_to_show_no_worse(*rates, gate.margin or 0, alpha, watch.against.no_worse.logs)


def _of_pairs(gate: Gate, window: Window, needed: Callable[[float, float], int | None]) -> int | None:
    """The candidate's requests that bring the pairs `needed`, of which one alone failed."""
    seen = counts_of(gate, window)
    if not seen.pairs.trials:
        return None
    pairs = needed(seen.pairs.events / seen.pairs.trials, pair_bound(gate.margin or 0))
    return None if pairs is None else -(-pairs * seen.surely.trials // seen.pairs.trials)


def _two_rates(gate: Gate, window: Window) -> tuple[float, float, float] | None:
    """The candidate's rate, the champion's, and the candidate's share of all answers."""
    seen = counts_of(gate, window)
    ours, theirs = seen.surely, seen.measure
    if not theirs.trials:
        return None
    share = ours.trials / (ours.trials + theirs.trials)
    return ours.events / ours.trials, theirs.events / theirs.trials, share


def _slower_ahead(
    gate: Gate, window: Window, evidence: Callable[[Histogram, Histogram, float, float], float], alpha: float
) -> int | None:
    """The candidate's requests until two latencies have parted, if all that was seen came again and again."""
    ours, theirs = latencies(gate, window)

    def parted(times: int) -> bool:
        far = evidence(_times(ours, times), _times(theirs, times), gate.quantile, gate.margin or 0)
        return far >= threshold(alpha)

    if not parted(MOST_TIMES):
        return None
    return (bisect_left(range(1, MOST_TIMES), True, key=parted)) * ours.total


def _times(latency: Histogram, times: int) -> Histogram:
    return Histogram({index: count * times for index, count in latency.counts.items()}, latency.total * times)


def _later(left: int, right: int | None) -> int | None:
    return None if right is None else max(left, right)


def _sooner(left: int | None, right: int | None) -> int | None:
    return min((each for each in (left, right) if each is not None), default=None)


@dataclass(frozen=True, slots=True)
class Need:
    """What a gate needs in one stage of a plan, where the candidate does not fail once: so many of its answers, and so
    many requests of clients to bring them; None where no number would do."""

    gate: str
    stage: int
    answers: int | None
    requests: int | None
    why: str = ""


def needs(plan: Plan, gates: Sequence[Gate], budget: Budget, copied_bp: int) -> Iterator[Need]:
    """Of each gate in each stage that it watches; `copied_bp` is the share of the requests that is copied."""
    for position, stage in enumerate(plan.stages):
        for gate in gates:
            if gate.watches(plan.phase_at(position)):
                yield _need(gate, position, stage.share_bp, budget, copied_bp)


def _need(gate: Gate, position: int, share_bp: int, budget: Budget, copied_bp: int) -> Need:
    seen = _answers_of(gate, share_bp, copied_bp)
    if not seen:
        return Need(gate.name, position, None, None, "nothing is copied, so it sees nothing in this stage")
    answers = _fewest(gate, budget.false_pass)
    if not gate.limit and not copied_bp and share_bp == BASIS_POINTS:
        return Need(gate.name, position, None, None, "the champion answers nothing in this stage, not even copies")
    if answers is None:
        return Need(gate.name, position, None, None, "no number of requests would do")
    answers = max(answers, gate.min_requests)
    return Need(gate.name, position, answers, -(-answers * BASIS_POINTS**2 // seen))


def _answers_of(gate: Gate, share_bp: int, copied_bp: int) -> int:
    """Of 10 000 squared requests of clients, those that tell the gate something."""
    if gate.metric == "agreement":
        return copied_bp * BASIS_POINTS
    return share_bp * BASIS_POINTS + (BASIS_POINTS - share_bp) * copied_bp


@lru_cache(maxsize=256)
def _fewest(gate: Gate, alpha: float) -> int | None:
    """A candidate that never fails; against the champion alone, one that is exactly as fast as a champion whose answers
    all take the same time, whatever that is: it may stand badly in the histogram's buckets."""
    if gate.limit:
        return requests_to_pass(0.0, gate.bound, alpha if gate.margin is None else alpha / 2)
    blank = GateWatch(gate.name, RateWatch())
    doubling = (lower_edge(16 * SUB_BUCKETS + step) / 1e6 for step in range(SUB_BUCKETS))
    each = [_to_no_worse(gate, blank, _alike(seconds), alpha / 2) for seconds in doubling]
    return None if None in each else max(answers for answers in each if answers is not None)


def _alike(seconds: float) -> Window:
    both = Window()
    for lane in (both.candidate, both.champion):
        lane.observe(200, seconds)
    return both


def warnings(
    plan: Plan, gates: Sequence[Gate], budget: Budget, copied_bp: int, rate: float | None = None
) -> Iterator[str]:
    """The gates that cannot be decided in a stage, or not in a week at this rate of clients' requests in a second."""
    for need in needs(plan, gates, budget, copied_bp):
        where = f"gate {need.gate} in the stage {stage_name(plan, need.stage)}"
        if need.requests is None:
            yield f"{where} cannot be decided: {need.why}"
        elif rate and (seconds := need.requests / rate) > LONGEST:
            days = f"{seconds / 86_400:,.0f} days at {rate:.3g} a second"
            yield f"{where} needs at least {need.requests:,} requests of clients: {days}"


def slowest(plan: Plan, gates: Sequence[Gate], budget: Budget, copied_bp: int) -> tuple[str, int] | None:
    """Where a plan waits longest for a gate, in words, and the requests of clients that it waits for there."""
    told = [
        (need.requests, f"gate {need.gate} in the stage {stage_name(plan, need.stage)}")
        for need in needs(plan, gates, budget, copied_bp)
        if need.requests is not None
    ]
    requests, where = max(told, key=lambda pair: pair[0], default=(0, ""))
    return (where, requests) if where else None


def stage_name(plan: Plan, position: int) -> str:
    """As people call it: shadow, 5 %, bake."""
    phase = plan.phase_at(position)
    return f"{plan.stages[position].share_bp / 100:g} %" if phase is Phase.RAMP else str(phase)
