"""Compares pairs of answers within the worker's budget of time: short ones at once, long ones in the helper."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic, thread_time

from proxy.budget import CpuBudget, SpareTime, ceiling
from proxy.comparison import Comparison
from proxy.headers import first
from proxy.helper.client import Helper
from proxy.outputs import add_outputs, wanted
from proxy.pairs import Pair, look_at
from proxy.snapshot import BASIS_POINTS
from proxy.window import Window

_LONG = 32 * 1024
"""Bytes of a pair from which on reading it takes longer than a request should be held up: 0.1 ms where it is numbers,
2 ms where it is text."""
_MOST_A_PAIR, _MOST_A_BYTE = 100e-6, 0.2e-6
"""Seconds that a pair may take in the loop: twice what the dearest do. What takes longer was held up by other
processes, which is nothing to count; and a clock that leaves them out costs as much as the comparison."""
_TO_SPARE = 0.2
"""The share of its time that a worker has to spare before a long pair is handed over: the helper may have no core of
its own, and on the worker's, with less to spare, requests would wait for it."""
_ENCODING = b"content-encoding"


class Comparer:
    """The budget is one for the worker and its helper. `clock` is monotonic, and `busy` the processor time of the
    loop's thread; both in seconds."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = monotonic,
        busy: Callable[[], float] = thread_time,
    ) -> None:
        self._clock = clock
        self.busy = busy
        self._spare = SpareTime()
        self.helper = Helper(loop)
        self._budget = CpuBudget()

    def stop(self) -> None:
        self.helper.stop()

    async def compare(self, pair: Pair, window: Window | None = None) -> Comparison:
        """What both answered is added to the window, if there is one, of a sample of the pairs."""
        reads = pair.champion.succeeded and pair.other.succeeded
        is_long = _is_long(pair)
        if reads and (refusal := self._refusal(pair, is_long)):
            return Comparison(skipped=refusal)
        counted = window is not None and wanted(window.agreement.compared, is_long)
        if is_long and reads and _takes_reading(pair, counted):
            found = await self.helper.look_at(pair, counted)
            if isinstance(found, str):
                return Comparison(skipped=found)
            spent = found.seconds
        else:
            found = look_at(pair, counted, self._clock)
            spent = min(found.seconds, _MOST_A_PAIR + _MOST_A_BYTE * pair.size)
        self._budget.spend(spent)
        if window is not None and found.outputs is not None:
            add_outputs(window.champion_outputs, window.candidate_outputs, found.outputs)
        return found.comparison

    def _refusal(self, pair: Pair, is_long: bool) -> str:
        """Why there is no time for a pair, "" where there is: told by its size alone, lest what is left out depend on
        what it holds."""
        now, share = self._clock(), pair.spec.cpu_bp / BASIS_POINTS
        if self._spare.due(now):
            self._spare.observe(now, self.busy())
        if not self._budget.allows(ceiling(share, self._spare.share), now) or (
            is_long and self._spare.share < _TO_SPARE
        ):
            return "cpu_budget"
        return "helper_busy" if is_long and not self.helper.has_room_for(pair.size) else ""


def _is_long(pair: Pair) -> bool:
    """An encoded answer may hold far more than it shows."""
    champion, other = pair.champion, pair.other
    return pair.size > _LONG or bool(first(champion.fields, _ENCODING) or first(other.fields, _ENCODING))


def _takes_reading(pair: Pair, counted: bool) -> bool:
    """Whether there are two bodies, and more to do than to see that they are the same."""
    champion, other = pair.champion.body, pair.other.body
    return champion is not None and other is not None and (counted or champion != other)
