"""How an origin stands in one respect: whether it keeps failing, and is passed over for it."""

from __future__ import annotations

from typing import Final

PASSED_OVER_FIRST = 1.0
PASSED_OVER_MOST = 30.0
"""Seconds that an origin is passed over: when it has failed so often in a row one, and after each further failure twice
as long."""


class Standing:
    """Failures in a row; `after` so many the origin is passed over. When its time is over, one exchange at a time finds
    out whether it still fails. Times are monotonic, in seconds."""

    __slots__ = ("_after", "_trials", "_until", "failures")

    def __init__(self, after: int) -> None:
        self._after: Final = after
        self._trials = 0
        self._until = 0.0
        self.failures = 0

    def passed_over(self, now: float) -> bool:
        return self.failures >= self._after and (now < self._until or self._trials > 0)

    def begin(self) -> bool:
        """An exchange begins; returns whether it finds out."""
        trial = self.failures >= self._after
        self._trials += trial
        return trial

    def end(self, trial: bool) -> None:
        self._trials -= trial

    def fail(self, now: float) -> float:
        """Returns the seconds that it is passed over from now on, 0 where nothing changes."""
        if now < self._until:
            return 0.0  # it was asked before, or because there was no other
        self.failures += 1
        if self.failures < self._after:
            return 0.0
        pause = min(PASSED_OVER_FIRST * 2.0 ** min(self.failures - self._after, 16), PASSED_OVER_MOST)
        self._until = now + pause
        return pause

    def recover(self) -> None:
        self.failures = 0
        self._until = 0.0
