"""Compares pairs of answers within the worker's budget of time: short ones at once, long ones in the helper."""

from __future__ import annotations

import asyncio
from time import monotonic

from proxy.budget import CpuBudget
from proxy.comparison import Comparison
from proxy.headers import first
from proxy.helper.client import Helper
from proxy.outputs import add_outputs, wanted
from proxy.pairs import Pair, look_at
from proxy.snapshot import BASIS_POINTS
from proxy.window import Window

_LONG = 64 * 1024
"""Bytes of a pair from which on reading it takes longer than a request should be held up."""
_ENCODING = b"content-encoding"


class Comparer:
    """The budget is one for the worker and its helper."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.helper = Helper(loop)
        self._budget = CpuBudget()

    def stop(self) -> None:
        self.helper.stop()

    async def compare(self, pair: Pair, window: Window | None = None) -> Comparison:
        """What both answered is added to the window, if there is one, of a sample of the pairs."""
        reads = pair.champion.succeeded and pair.other.succeeded
        if reads and not self._budget.allows(pair.spec.cpu_bp / BASIS_POINTS, monotonic()):
            return Comparison(skipped="cpu_budget")
        is_long = _is_long(pair)
        counted = window is not None and wanted(window.agreement.compared, is_long)
        if is_long and (counted or _differs(pair)):
            found = await self.helper.look_at(pair, counted)
            if isinstance(found, str):
                return Comparison(skipped=found)
        else:
            found = look_at(pair, counted, monotonic)
        self._budget.spend(found.seconds)
        if window is not None and found.outputs is not None:
            add_outputs(window.champion_outputs, found.outputs[0])
            add_outputs(window.candidate_outputs, found.outputs[1])
        return found.comparison


def _is_long(pair: Pair) -> bool:
    """An encoded answer may hold far more than it shows."""
    champion, other = pair.champion, pair.other
    return pair.size > _LONG or bool(first(champion.fields, _ENCODING) or first(other.fields, _ENCODING))


def _differs(pair: Pair) -> bool:
    """Whether there are two bodies, and not the same."""
    champion, other = pair.champion.body, pair.other.body
    return champion is not None and other is not None and champion != other
