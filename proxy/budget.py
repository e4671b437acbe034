"""A ceiling on the share of a worker's time that goes into comparing."""

from __future__ import annotations

ADVANCE = 1.0
"""Seconds whose share may be spent at once."""


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
