"""Shadow work: copies of requests to the variant that did not serve, bounded by count, bytes and time.

Nothing here is ever awaited by a request. What does not fit is dropped at once, by reason, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from time import monotonic
from typing import Final

from proxy.anonymity import veil
from proxy.brake import Brake
from proxy.comparer import Comparer
from proxy.comparison import Answer, Comparison
from proxy.disagreements import NO_ANSWER, Request, finding_of
from proxy.errors import UpstreamFailed
from proxy.headers import SHADOW_MARK
from proxy.pairs import Pair
from proxy.response import Response
from proxy.routed import RoutedRequest
from proxy.routing import Variant, bucket_of
from proxy.snapshot import ModelRoute, Target
from proxy.strand import Strand
from proxy.tally import Answers, Lane, LaneTally
from proxy.upstream import Upstreams
from proxy.window import Window
from proxy.windows import Windows

_SHADOW_LANE: dict[Variant, Lane] = {"champion": "champion_shadow", "candidate": "candidate_shadow"}


class Copy:
    """One request to repeat, and the answer that its client got. `shadowed` is the variant that is to repeat it, which
    counts in `lane`. All its bodies together hold `size` bytes."""

    __slots__ = ("lane", "request", "route", "served", "shadowed", "size")

    def __init__(self, request: RoutedRequest, served: Answer) -> None:
        self.request: Final = request
        self.served: Final = served
        self.route: Final = request.route
        self.shadowed: Final = request.assignment.shadow_variant
        self.lane: Final = _SHADOW_LANE[self.shadowed]
        self.size = len(request.body) + len(served.body or b"")


@dataclass(slots=True)
class _Load:
    """What one model's copies hold right now."""

    copies: int = 0
    bytes: int = 0


class Mirror:
    """Sends copies, compares the answers, and counts both under the epoch that routed the request."""

    def __init__(self, upstreams: Upstreams, windows: Windows) -> None:
        self._upstreams = upstreams
        self._windows = windows
        self.loads: dict[str, _Load] = {}
        self._loop = asyncio.get_running_loop()
        self._under_way: set[Strand] = set()
        self._emptied = asyncio.Event()
        self.brake = Brake(self._loop)
        self.comparer = Comparer(self._loop)

    def pass_over(self, route: ModelRoute, reason: str) -> None:
        """Count a request that would have been copied, had it been one that can be."""
        tally = self._windows.of(route).shadow
        tally.offered += 1
        tally.drop(reason)

    def offer(self, copy: Copy) -> None:
        """Take the copy or drop it; returns at once either way."""
        shadow = copy.request.assignment.shadow
        if shadow is None:
            return
        policy = copy.route.shadow
        tally = self._window(copy).shadow
        tally.offered += 1
        load = self.loads.get(copy.route.model)
        if load is None:
            load = self.loads[copy.route.model] = _Load()
        if load.copies >= policy.max_in_flight:
            tally.drop("in_flight")
        elif load.bytes + copy.size > policy.max_bytes:
            tally.drop("bytes")
        elif self._upstreams.none_is_well(copy.lane, shadow.origins):
            tally.drop("ejected")
            self._miss(copy)
        elif reason := self.brake.reason(copy.route.model):
            tally.drop(reason)
        else:
            tally.sent += 1
            load.copies += 1
            load.bytes += copy.size
            strand = Strand(self._send(copy, shadow, load), self._ended)
            self._under_way.add(strand)
            strand.go_on()

    def _miss(self, copy: Copy) -> None:
        """Count a copy that is kept from servers which fail as the failure that it would have met: else an outage would
        look as short as the few copies that found it."""
        self._answers(copy, copy.lane).observe_failure("ejected", None)
        if copy.shadowed == "candidate" and not _failed(copy.served):
            self._window(copy).alone.candidate += 1

    def _ended(self, strand: Strand) -> None:
        self._under_way.discard(strand)
        if not self._under_way:
            self._emptied.set()

    async def finish(self, seconds: float) -> None:
        """Let what is under way end within `seconds`, and cancel the rest."""
        self._emptied.clear()
        if self._under_way:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)
        for strand in list(self._under_way):
            strand.cancel()
        self.brake.stop()
        self.comparer.stop()

    async def _send(self, copy: Copy, shadow: Target, load: _Load) -> None:
        try:
            answer = await self._exchange(copy, shadow, copy.lane, load)
            champion, candidate = (copy.served, answer) if copy.shadowed == "candidate" else (answer, copy.served)
            if isinstance(candidate, str):
                self._miss_answer(copy, candidate)
            elif not isinstance(champion, str):
                await self._compare(copy, champion, candidate)
            if not isinstance(champion, str) and not _failed(champion) and _probed(copy):
                await self._probe(copy, champion, load)
        finally:
            load.copies -= 1
            load.bytes -= copy.size

    def _miss_answer(self, copy: Copy, failure: str) -> None:
        """Count and record a request that the candidate has failed to answer, where the champion did."""
        if not _failed(copy.served):
            self._window(copy).alone.candidate += 1
            self.record(copy.request, "champion", copy.served, NO_ANSWER, Comparison(candidate_failure=failure))

    async def _compare(self, copy: Copy, champion: Answer, candidate: Answer) -> None:
        comparison = await self.comparer.compare(_pair(copy, champion, candidate), self._window(copy))
        judge(self._window(copy), copy, candidate, comparison)  # once more: it changes now
        self.record(copy.request, copy.request.assignment.variant, champion, candidate, comparison)

    def record(
        self, request: RoutedRequest, served: Variant, champion: Answer, candidate: Answer, comparison: Comparison
    ) -> None:
        """Put a pair that differs on record, or a failure of the candidate alone, if it is chosen; `served` is whose
        answer the client got."""
        finding = finding_of(comparison, champion, candidate)
        if finding and request.route.record.keep:
            asked = Request(request.method, request.target, request.fields, request.body)
            self._windows.reservoir.offer(finding, comparison, request.route, served, asked, champion, candidate)

    async def _probe(self, copy: Copy, champion: Answer, load: _Load) -> None:
        """Ask the champion once more, and count how it differs from itself: the noise in every comparison with it."""
        again = await self._exchange(copy, copy.route.champion, "champion_shadow", load)
        if not isinstance(again, str):
            comparison = await self.comparer.compare(_pair(copy, champion, again))
            self._window(copy).noise.observe(comparison)

    async def _exchange(self, copy: Copy, target: Target, lane: Lane, load: _Load) -> Answer | str:
        """The shadow's answer, or the code of its failure; counted in its lane. A copy is never tried again, but for a
        kept connection that turns out to be closed (see Pool.exchange): that failure would be nobody's."""
        self._answers(copy, lane).ask()
        request, route, start = copy.request, copy.route, monotonic()
        try:
            response = await self._upstreams.send(
                lane,
                target.origins,
                request.method,
                request.target,
                request.fields + SHADOW_MARK,
                request.body,
                start + route.shadow.timeout,
                route.max_concurrent,
            )
            first_byte = monotonic() - start
            body = await _read(response, copy, load)
        except UpstreamFailed as failure:
            self._answers(copy, lane).observe_failure(failure.code, monotonic() - start)
            return failure.code
        except asyncio.CancelledError:  # the worker stops
            self._answers(copy, lane).abandon(monotonic() - start)
            raise
        self._answers(copy, lane).observe(response.status, monotonic() - start, first_byte)
        return Answer(response.status, response.fields, body)

    def _answers(self, copy: Copy, lane: Lane) -> LaneTally | Answers:
        return self._window(copy).answers(lane, copy.route, copy.request.places)

    def _window(self, copy: Copy) -> Window:
        return self._windows.of(copy.route, copy.request.first)


async def _read(response: Response, copy: Copy, load: _Load) -> bytes | None:
    """The body of a shadow's answer, which counts among what its copy holds as it comes; None for one that is too
    large: by itself, or for the room that all copies of its model have. It is given up at that point."""
    most, room = copy.route.agreement.max_body, copy.route.shadow.max_bytes
    parts: list[bytes] = []
    size = 0
    while chunk := await response.read():
        size += len(chunk)
        if size > most or load.bytes + len(chunk) > room:
            response.discard()
            return None
        load.bytes += len(chunk)
        copy.size += len(chunk)
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _pair(copy: Copy, champion: Answer, other: Answer) -> Pair:
    request, record = copy.request, copy.route.record
    marked = veil(request.fields, request.body, record.fields) if record.fields or record.headers else None
    return Pair(champion, other, copy.route.agreement, request.target, marked)


def _probed(copy: Copy) -> bool:
    """Whether the champion gets this request again. Drawn by a salt of its own from all that was sent, the request's id
    included: not by the unit, as what differs from call to call belongs to no user."""
    share = copy.route.agreement.noise_bp
    return share > 0 and bucket_of("noise:" + copy.route.salt, copy.request.fields) < share


def _failed(answer: Answer) -> bool:
    return answer.status >= 500


def judge(window: Window, copy: Copy, candidate: Answer, comparison: Comparison) -> None:
    """Count a pair, and blame the arm whose success is one in name only."""
    window.pair(comparison, copy.route, copy.request.places)
    shadowed = copy.shadowed == "candidate"
    if shadowed:
        champion_failed = _failed(copy.served) or bool(comparison.champion_failure)
        candidate_failed = _failed(candidate) or bool(comparison.candidate_failure)
        window.alone.candidate += candidate_failed and not champion_failed
        window.alone.champion += champion_failed and not candidate_failed
    if comparison.champion_failure:
        lane: Lane = "champion" if shadowed else "champion_shadow"
        window.answers(lane, copy.route, copy.request.places).blame(comparison.champion_failure)
    if comparison.candidate_failure:
        lane = "candidate_shadow" if shadowed else "candidate"
        window.answers(lane, copy.route, copy.request.places).blame(comparison.candidate_failure)
