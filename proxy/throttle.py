"""When copies get in the way: how late a worker's loop runs, how fast the champion answers, and what share of the
copies is let through.

The control is the one of TCP's congestion window (additive increase, multiplicative decrease; RFC 5681 section 3.1): as
long as there is pressure the share is halved with each look, and without any it comes back step by step. All times are
in seconds, and passed in.
"""

from __future__ import annotations

LEAST_SHARE = 1 / 64
STEP = 0.05
"""What comes back of the share with each look that finds no pressure."""

LAG_WEIGHT = 0.2
"""Of the newest look in the smoothed lag: one late turn of the loop is no trouble, and several are."""

PACE_WINDOW = 1.0
PACE_SAMPLES = 20
SLOWER = 2.0
SLOWER_BY = 0.02
"""The champion is slow where its mean over a window is more than `SLOWER_BY` seconds above `SLOWER` times the usual."""
GETTING_USED = 0.02
"""How far the usual mean moves to that of each window: whatever lasts for minutes is the usual."""


class Valve:
    """The share of the copies that passes, spread evenly."""

    __slots__ = ("_credit", "share")

    def __init__(self) -> None:
        self.share = 1.0
        self._credit = 0.0

    def adjust(self, pressure: bool) -> None:
        self.share = max(self.share / 2, LEAST_SHARE) if pressure else min(self.share + STEP, 1.0)

    def lets_through(self) -> bool:
        if self.share >= 1:
            return True
        self._credit += self.share
        if self._credit < 1:
            return False
        self._credit -= 1
        return True


class Lag:
    """How late the loop's turns come, smoothed."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0

    def observe(self, late: float) -> None:
        self.seconds += (max(late, 0.0) - self.seconds) * LAG_WEIGHT


class Pace:
    """How long the champion's answers take: in the newest window, and as a rule."""

    __slots__ = ("_count", "_since", "_sum", "slow", "usual")

    def __init__(self, now: float) -> None:
        self.usual: float | None = None
        self.slow = False
        self._since = now
        self._sum = 0.0
        self._count = 0

    def observe(self, seconds: float, now: float) -> bool:
        """Take one answer in; True where a window has ended by it, and `slow` is of that window."""
        self._sum += seconds
        self._count += 1
        if self._count < PACE_SAMPLES or now - self._since < PACE_WINDOW:
            return False
        mean = self._sum / self._count
        self._since, self._sum, self._count = now, 0.0, 0
        if self.usual is None or mean < self.usual:
            self.usual = mean
        self.slow = mean > SLOWER * self.usual + SLOWER_BY
        self.usual += (mean - self.usual) * GETTING_USED
        return True
