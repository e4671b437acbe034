"""What a gate counts in a window: its unwanted events out of its trials, and those of what it is measured against."""

from __future__ import annotations

from dataclasses import dataclass

from gates.evidence import Tally, slower_than
from gates.gate import Gate
from proxy.histogram import Histogram
from proxy.tally import LaneTally
from proxy.window import Window

NOTHING = Tally()
LEAST_KNOWN = 0.5
"""The share of the copies whose fate has to be known before a gate passes by them."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The gate's unwanted events out of its trials: those that are sure (to fail it by), those that are possible (to
    pass it by), and those of its measure; and the values that a person would read.

    What is still under way is a trial to fail it by, without an event so far: failures may come sooner than successes
    do, and would else be all that there is at first. To pass it by, it is none. Of pairs, the trials are those of which
    one alone failed: the candidate's share of them in `pairs`."""

    surely: Tally
    possibly: Tally
    measure: Tally = NOTHING
    value: float | None = None
    measure_value: float | None = None
    pairs: Tally = NOTHING


def counts_of(gate: Gate, window: Window) -> Counts:
    seen = seen_by(gate, window)
    match gate.metric:
        case "agreement":
            return _agreement(seen)
        case "error_rate":
            return _errors(seen)
        case "latency":
            return _latency(gate, window)


def seen_by(gate: Gate, window: Window) -> Window:
    """All of the window, or the first answers of each unit alone."""
    return window if gate.per == "request" else window.firsts or Window()


def partial(gate: Gate, window: Window) -> bool:
    """Whether the gate may not pass by what it sees, as that is too small a part of what there was to see."""
    return too_little_covered(gate, window) or too_few_copies(gate, window)


def too_little_covered(gate: Gate, window: Window) -> bool:
    """Whether so few of the pairs were compared that those few may not stand for the rest."""
    covered = seen_by(gate, window).agreement.coverage
    return gate.metric == "agreement" and covered is not None and covered < gate.min_coverage


def too_few_copies(gate: Gate, window: Window) -> bool:
    """Whether so many copies were dropped that the others may not stand for them: the slow and the large are dropped
    first, so that what is left looks better than it is. Answers to clients stand for themselves."""
    seen = seen_by(gate, window)
    by_copies = gate.metric == "agreement" or seen.candidate_shadow.answers > seen.candidate.answers
    return by_copies and seen.shadow.known < LEAST_KNOWN * seen.shadow.offered


def candidate_lane(window: Window) -> LaneTally:
    """What the candidate answered, to clients and to copies."""
    return window.candidate.merged(window.candidate_shadow)


def champion_lane(window: Window) -> LaneTally:
    """What the champion answered, to clients and to copies."""
    return window.champion.merged(window.champion_shadow)


def latencies(gate: Gate, window: Window) -> tuple[Histogram, Histogram]:
    """The candidate's, and the champion's: of their answers, and of the clients that left where these had waited for
    longer than the limit already. Those who left sooner tell nothing of what they would have been given, and when."""
    seen = seen_by(gate, window)
    ours, theirs = candidate_lane(seen), champion_lane(seen)
    return (
        ours.latency.merged(ours.abandoned.at_least(gate.limit)),
        theirs.latency.merged(theirs.abandoned.at_least(gate.limit)),
    )


def _agreement(window: Window) -> Counts:
    pairs, noise = window.agreement, window.noise
    tally = Tally(pairs.disagreed, pairs.compared)
    return Counts(
        tally,
        tally,
        Tally(noise.disagreed, noise.compared),
        _share(pairs.compared - pairs.disagreed, pairs.compared),
        _share(noise.compared - noise.disagreed, noise.compared),
    )


def _errors(window: Window) -> Counts:
    ours, theirs, alone = candidate_lane(window), champion_lane(window), window.alone
    return Counts(
        Tally(ours.failures, ours.begun),
        Tally(ours.failures, ours.answers),
        Tally(theirs.failures, theirs.begun),
        _share(ours.failures, ours.answers),
        _share(theirs.failures, theirs.answers),
        Tally(alone.candidate, alone.candidate + alone.champion),
    )


def _latency(gate: Gate, window: Window) -> Counts:
    ours, theirs = latencies(gate, window)
    surely, possibly = slower_than(ours, gate.limit)
    return Counts(
        Tally(surely, ours.total),
        Tally(possibly, ours.total),
        Tally(0, theirs.total),
        ours.quantile(gate.quantile),
        theirs.quantile(gate.quantile),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
