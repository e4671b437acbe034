"""What the charts show: for each rollout, points of what was seen between two looks, in memory that stays bounded.

Two series are kept. `recent` has the last ten minutes, point by point; `whole` reaches back to the rollout's start, and
whenever it is full, every two neighbours become one and its points are as long again. So a page that is opened late, or
anew, has the same past before it as one that was there all the time. A control plane that starts anew begins a new
past: what a browser has of the old one it keeps."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from gates.controller.observer import Observer
from gates.controller.watch import Watch
from gates.counts import candidate_lane, champion_lane
from gates.evidence import Tally, rate_band
from gates.ports import Clock
from proxy.histogram import Histogram
from proxy.tally import LANES, LaneTally
from proxy.window import Window, merge

SAMPLE_EVERY = 2.0
SETTLE_SECONDS = 5.0
"""After a start, the workers bring all that they have seen since the last process kept their windows."""
RECENT = 300
WHOLE = 240
BAND_ALPHA = 0.05


class Point(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was seen in the `seconds` before the wall time `at`; JSON has it as a row.

    `champion` and `candidate` are the answers to clients, `copies` the candidate's answers to copies; failures and
    latencies (milliseconds) are those of a variant in both roles, None where it answered nothing. The agreement is that
    of the stage so far with its 95 % band, and `noise` the champion's with itself."""

    at: float
    seconds: float
    position: int
    percent: float
    champion: int
    candidate: int
    copies: int
    champion_answers: int
    candidate_answers: int
    champion_failures: int
    candidate_failures: int
    champion_p50: float | None
    champion_p99: float | None
    candidate_p50: float | None
    candidate_p99: float | None
    agreement: float | None
    agreement_low: float | None
    agreement_high: float | None
    noise: float | None


COLUMNS = Point.__struct_fields__


class Series(msgspec.Struct, frozen=True):
    """The points of one rollout, oldest first; the columns name what stands in a row."""

    rollout: str
    columns: tuple[str, ...]
    recent: tuple[Point, ...]
    whole: tuple[Point, ...]


@dataclass(slots=True)
class _Track:
    """The points of one model's newest rollout, and the window at the last look."""

    rollout: str
    epoch: int
    seen: Window
    looked: float
    recent: deque[Point] = field(default_factory=lambda: deque(maxlen=RECENT))
    whole: list[Point] = field(default_factory=list)
    settled: float = 0.0
    """From when on what is new was seen since the last look, in monotonic seconds."""
    length: float = SAMPLE_EVERY
    """Seconds that a point of the whole covers at the least."""

    def add(self, point: Point) -> None:
        self.recent.append(point)
        if self.whole and self.whole[-1].seconds < self.length * 0.75 and self.whole[-1].position == point.position:
            self.whole[-1] = joined(self.whole[-1], point)
        else:
            self.whole.append(point)
        if len(self.whole) >= WHOLE:
            self.whole = thinned(self.whole)
            self.length *= 2


class History:
    """The tracks of all models that have had a rollout."""

    def __init__(self) -> None:
        self._tracks: dict[str, _Track] = {}

    async def run(self, observer: Callable[[], Observer], clock: Clock) -> None:
        """Sample for ever; however many rollouts there are, it takes 2 % of a core at most."""
        while True:
            now = clock.monotonic()
            self.sample(observer(), now, clock.wall())
            await asyncio.sleep(max(SAMPLE_EVERY, 50 * (clock.monotonic() - now)))

    def sample(self, observer: Observer, now: float, wall: float) -> None:
        """Add a point to each rollout; `now` is monotonic, `wall` in seconds since the epoch."""
        for model, watch in list(observer.watches.items()):
            self._sample(model, watch, observer, now, wall)

    def series(self, model: str) -> Series:
        """All there is of the model's newest rollout."""
        track = self._tracks.get(model)
        if track is None:
            return Series("", COLUMNS, (), ())
        return Series(track.rollout, COLUMNS, tuple(track.recent), tuple(track.whole))

    def newest(self, model: str, count: int) -> tuple[Point, ...]:
        """The last `count` points at most."""
        track = self._tracks.get(model)
        return () if track is None else tuple(track.recent)[-count:]

    def _sample(self, model: str, watch: Watch, observer: Observer, now: float, wall: float) -> None:
        rollout = watch.rollout
        stage = observer.ledger.window(model, rollout.epoch)
        track = self._tracks.get(model)
        if track is None or track.rollout != rollout.id:
            track = self._tracks[model] = _Track(rollout.id, rollout.epoch, stage, now)
            track.settled = now + SETTLE_SECONDS if rollout.id in observer.restored else now
        if now <= track.looked:
            return
        if now < track.settled:
            track.seen, track.epoch, track.looked = stage, rollout.epoch, now
            return
        lately = _since(observer.ledger.window(model, track.epoch), track.seen)
        if track.epoch != rollout.epoch:  # the end of the last stage, and the beginning of this one
            lately = merge(lately, stage)
        point = _point(watch, stage, lately, now - track.looked, wall)
        track.seen, track.epoch, track.looked = stage, rollout.epoch, now
        if rollout.carrying:
            track.add(point)
        elif point.champion_answers:  # what came after the end is not part of the whole
            track.recent.append(point)


def _since(window: Window, before: Window) -> Window:
    """What the lanes have grown by."""
    champion, candidate, champion_shadow, candidate_shadow = (
        _lane_since(window.lane(lane), before.lane(lane)) for lane in LANES
    )
    return Window(champion, candidate, champion_shadow, candidate_shadow)


def _lane_since(lane: LaneTally, before: LaneTally) -> LaneTally:
    known, failures = before.latency.counts, max(lane.failures - before.failures, 0)
    grown = {index: more for index, count in lane.latency.counts.items() if (more := count - known.get(index, 0)) > 0}
    return LaneTally(
        answers=max(lane.answers - before.answers, 0),
        errors={"any": failures} if failures else {},
        latency=Histogram(grown, sum(grown.values())),
    )


def _point(watch: Watch, stage: Window, lately: Window, seconds: float, wall: float) -> Point:
    rollout, pairs, noise = watch.rollout, stage.agreement, stage.noise
    champion, candidate = champion_lane(lately), candidate_lane(lately)
    band = rate_band(Tally(pairs.disagreed, pairs.compared), BAND_ALPHA) if pairs.compared else None
    return Point(
        at=wall,
        seconds=seconds,
        position=rollout.position,
        percent=rollout.share_bp / 100,
        champion=lately.champion.answers,
        candidate=lately.candidate.answers,
        copies=lately.candidate_shadow.answers,
        champion_answers=champion.answers,
        candidate_answers=candidate.answers,
        champion_failures=champion.failures,
        candidate_failures=candidate.failures,
        champion_p50=_millis(champion.latency.quantile(0.5)),
        champion_p99=_millis(champion.latency.quantile(0.99)),
        candidate_p50=_millis(candidate.latency.quantile(0.5)),
        candidate_p99=_millis(candidate.latency.quantile(0.99)),
        agreement=1 - pairs.disagreed / pairs.compared if pairs.compared else None,
        agreement_low=1 - band.upper if band else None,
        agreement_high=1 - band.lower if band else None,
        noise=1 - noise.disagreed / noise.compared if noise.compared else None,
    )


def _millis(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def thinned(points: list[Point]) -> list[Point]:
    """Every two neighbours of one stage as one, so that no change of the stage is blurred."""
    thin: list[Point] = []
    pending: Point | None = None
    for point in points:
        if pending is None:
            pending = point
        elif pending.position == point.position:
            thin.append(joined(pending, point))
            pending = None
        else:
            thin.append(pending)
            pending = point
    return thin if pending is None else [*thin, pending]


def joined(first: Point, second: Point) -> Point:
    """Both as one: counts and seconds add up, medians are weighed by the answers, of two p99 the worse one stands."""
    return msgspec.structs.replace(
        second,
        seconds=first.seconds + second.seconds,
        champion=first.champion + second.champion,
        candidate=first.candidate + second.candidate,
        copies=first.copies + second.copies,
        champion_answers=first.champion_answers + second.champion_answers,
        candidate_answers=first.candidate_answers + second.candidate_answers,
        champion_failures=first.champion_failures + second.champion_failures,
        candidate_failures=first.candidate_failures + second.candidate_failures,
        champion_p50=_weighed(first.champion_p50, first.champion_answers, second.champion_p50, second.champion_answers),
        candidate_p50=_weighed(
            first.candidate_p50, first.candidate_answers, second.candidate_p50, second.candidate_answers
        ),
        champion_p99=_worse(first.champion_p99, second.champion_p99),
        candidate_p99=_worse(first.candidate_p99, second.candidate_p99),
    )


def _weighed(left: float | None, left_weight: int, right: float | None, right_weight: int) -> float | None:
    if left is None or right is None or not left_weight + right_weight:
        return right if left is None else left
    return (left * left_weight + right * right_weight) / (left_weight + right_weight)


def _worse(left: float | None, right: float | None) -> float | None:
    return max((each for each in (left, right) if each is not None), default=None)
