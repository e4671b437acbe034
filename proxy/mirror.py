"""Shadow work: copies of requests to the variant that did not serve, bounded by count, bytes and time.

Nothing here is ever awaited by a request. What does not fit is dropped at once, by reason, and counted.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter

from proxy.comparison import Answer, Comparison, compare
from proxy.errors import UpstreamFailed
from proxy.headers import SHADOW_MARK, first, request_head
from proxy.routing import Assignment, Variant
from proxy.snapshot import ModelRoute, Target
from proxy.upstream import Upstreams
from proxy.window import Lane, Window
from proxy.windows import Windows

_SHADOW_LANE: dict[Variant, Lane] = {"champion": "champion_shadow", "candidate": "candidate_shadow"}


@dataclass(frozen=True, slots=True)
class Copy:
    """One request to repeat, and the answer that its client got."""

    route: ModelRoute
    assignment: Assignment
    method: str
    target: bytes
    fields: bytes
    body: bytes
    served: Answer


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
        self._loads: dict[str, _Load] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, copy: Copy) -> None:
        """Take the copy or drop it; returns at once either way."""
        shadow = copy.assignment.shadow
        if shadow is None:
            return
        policy = copy.route.shadow
        tally = self._windows.of(copy.route).shadow
        tally.offered += 1
        load = self._loads.setdefault(copy.route.model, _Load())
        size = len(copy.body) + len(copy.served.body or b"")
        if load.copies >= policy.max_in_flight:
            tally.drop("in_flight")
        elif load.bytes + size > policy.max_bytes:
            tally.drop("bytes")
        else:
            tally.sent += 1
            load.copies += 1
            load.bytes += size
            task = asyncio.get_running_loop().create_task(self._send(copy, shadow, load, size))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish(self, seconds: float) -> None:
        """Let what is under way end within `seconds`, and cancel the rest."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()

    async def _send(self, copy: Copy, shadow: Target, load: _Load, size: int) -> None:
        try:
            variant = copy.assignment.shadow_variant
            answer = await self._exchange(copy, shadow, _SHADOW_LANE[variant])
            if answer is not None:
                judge(self._windows.of(copy.route), copy, answer)
        finally:
            load.copies -= 1
            load.bytes -= size

    async def _exchange(self, copy: Copy, shadow: Target, lane: Lane) -> Answer | None:
        """The shadow's answer, counted in its lane; None where it failed. One try: a shadow is never retried."""
        start = perf_counter()
        deadline = asyncio.get_running_loop().time() + copy.route.shadow.timeout
        origin = shadow.origins[0]
        head = request_head(copy.method, copy.target, origin.authority, copy.fields + SHADOW_MARK)
        try:
            pool = self._upstreams.pool(lane, origin)
            response = await pool.exchange(head, copy.body, deadline, copy.method == "HEAD")
            body = await response.read_all(copy.route.agreement.max_body)
        except UpstreamFailed as failure:
            self._windows.of(copy.route).lane(lane).observe_failure(failure.code, perf_counter() - start)
            return None
        self._windows.of(copy.route).lane(lane).observe(response.status, perf_counter() - start)
        return Answer(
            response.status,
            first(response.fields, b"content-type").decode("latin-1"),
            first(response.fields, b"content-encoding").decode("latin-1"),
            body,
        )


def judge(window: Window, copy: Copy, answer: Answer) -> Comparison:
    """Compare a pair and count it. A candidate that rejects (4xx) what the champion answered (2xx) has failed:
    MLflow's scoring server answers 400 when the model itself crashes."""
    comparison = compare(copy.served, answer, copy.route.agreement)
    window.agreement.observe(comparison)
    shadowed = copy.assignment.shadow_variant == "candidate"
    champion, candidate = (copy.served, answer) if shadowed else (answer, copy.served)
    if champion.succeeded and 400 <= candidate.status < 500:
        (window.candidate_shadow if shadowed else window.candidate).blame("status_4xx")
    return comparison
