"""The message that carries windows from a worker to the control plane, and what makes it lawful."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from proxy.disagreements import Disagreement, require_lawful
from proxy.histogram import MAX_INDEX, Histogram
from proxy.outputs import LAST_BUCKET
from proxy.tally import LANES
from proxy.window import Window


@dataclass(frozen=True, slots=True)
class Sample:
    """One (model, epoch) of one worker, cumulative since the worker started."""

    model: str
    epoch: int
    window: Window


@dataclass(frozen=True, slots=True)
class Push:
    """What a worker sends: its changed windows. Of two pushes of one worker the one with the higher sequence is
    newer. The disagreements are those chosen since the last push; one that comes twice is the same by its id."""

    worker: str
    sequence: int
    samples: tuple[Sample, ...]
    disagreements: tuple[Disagreement, ...] = ()


def encode_push(push: Push) -> bytes:
    return msgspec.json.encode(push)


def decode_push(raw: bytes) -> Push:
    """Raises ValueError for anything that is not a lawful push: counts that contradict each other included, as no
    verdict can be read from them."""
    try:
        push = msgspec.json.decode(raw, type=Push)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    for sample in push.samples:
        _require_lawful(sample.window)
        if (firsts := sample.window.firsts) is not None:
            if firsts.firsts is not None:
                raise ValueError("the first answers of units have none of their own")
            _require_lawful(firsts)
    for pair in push.disagreements:
        require_lawful(pair)
    return push


def _require_lawful(window: Window) -> None:
    counts = [window.fallbacks, window.alone.candidate, window.alone.champion, *window.shadow.dropped.values()]
    sliced = [tally for values in window.slices.values() for tally in values.values()]
    arms = [arm for tally in sliced for arm in (tally.champion, tally.candidate)]
    if any(not 0 <= tally.disagreed <= tally.compared for tally in sliced):
        raise ValueError("a slice's counts contradict each other")
    for lane in (*map(window.lane, LANES), *arms):
        counts += [lane.asked, *lane.statuses.values(), *lane.errors.values()]
        _require_histogram(lane.latency)
        _require_histogram(lane.first_byte)
        _require_histogram(lane.abandoned)
        if lane.failures > lane.answers:
            raise ValueError("a lane's counts contradict each other")
    for tally in (window.agreement, window.noise):
        counts += [*tally.findings.values(), *tally.skipped.values()]
        _require_histogram(tally.gaps)
        if not 0 <= tally.disagreed <= tally.compared or tally.gaps.total > tally.compared:
            raise ValueError("the agreement's counts contradict each other")
    for outputs in (window.champion_outputs, window.candidate_outputs):
        for output in outputs.values():
            counts += [output.missing, *output.numbers.values(), *output.labels.values()]
            if not all(-LAST_BUCKET <= bucket <= LAST_BUCKET for bucket in output.numbers):
                raise ValueError("an output's bucket is out of range")
            if output.least is not None and output.most is not None and output.least > output.most:
                raise ValueError("an output's least is above its most")
    if any(count < 0 for count in counts):
        raise ValueError("a count is negative")


def _require_histogram(histogram: Histogram) -> None:
    if sum(histogram.counts.values()) != histogram.total or histogram.sum_micros < 0:
        raise ValueError("a histogram's counts contradict each other")
    if any(count < 0 for count in histogram.counts.values()):
        raise ValueError("a count is negative")
    if not all(0 <= index <= MAX_INDEX for index in histogram.counts):
        raise ValueError("a histogram's bucket is out of range")
