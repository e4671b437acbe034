"""A ceiling on the share of a worker's time that goes into comparing."""

from __future__ import annotations

ADVANCE = 1.0
"""Seconds whose share may be spent at once."""
STRETCH = 0.1
"""Seconds over which it is told how busy a worker is."""


class SpareTime:
    """The share of a worker's time, 0 to 1, in which it had nothing to do: in the newest whole stretch, and all of it
    before the first. Under a quota of processor time that is more than there is to be had; the budget then is what it
    would be on a worker at ease."""

    __slots__ = ("_at", "_busy", "share")

    def __init__(self) -> None:
        self.share = 1.0
        self._at = -1.0
        self._busy = 0.0

    def due(self, now: float) -> bool:
        """Whether a stretch is over, and `observe` is to be told; `now` is monotonic, in seconds."""
        return now - self._at >= STRETCH

    def observe(self, now: float, busy: float) -> None:
        """`busy` is the processor time that the worker's thread has taken so far, in seconds."""
        if self._at >= 0:
            self.share = min(max(1.0 - (busy - self._busy) / (now - self._at), 0.0), 1.0)
        self._at = now
        self._busy = busy


def ceiling(share: float, spare: float) -> float:
    """`share` where there is as much time to spare; half of it where there is none, and each comparison keeps a request
    waiting; between the two, in proportion."""
    return min(share, (share + spare) / 2)


class CpuBudget:
    """Time that was spent and is still to be earned. Over any while, no more is spent than the share of it, `ADVANCE`
    and the last comparison aside."""

    def __init__(self) -> None:
        self._owed = 0.0
        self._at = 0.0

    def allows(self, share: float, now: float) -> bool:
        """Whether there is room to spend under a ceiling of `share`, 0 to 1; `now` is monotonic, in seconds.

        It is asked before a pair is looked at, so that what is left out does not depend on what it holds."""
        self._owed = max(0.0, self._owed - share * (now - self._at))
        self._at = now
        return self._owed < share * ADVANCE

    def spend(self, seconds: float) -> None:
        self._owed += seconds
