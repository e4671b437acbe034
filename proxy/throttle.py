"""When copies get in the way: how late a worker's loop runs, how fast the champion answers with and without copies, and
what share of the copies is let through.

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
DEVIATIONS = 4.0
"""The champion is slow where its mean over a window is more than `SLOWER_BY` seconds above `SLOWER` times the usual,
and more than so many deviations above it: what varies by itself has to move far."""
USUAL_WEIGHT = 1 / 8
DEVIATION_WEIGHT = 1 / 4
"""Of the newest window in the usual mean and in its mean deviation; the figures are those by which TCP smooths its
round trips (RFC 6298 section 2)."""
FEW_COPIES = 1 / 8
"""A window in which no more copies than this were sent for each answer shows what the champion does by itself."""
REST = 3
"""Windows without copies behind a slow one: if it is as slow then, copies are not why, and its usual moves there."""
FIRST_REST = 1
"""Windows without copies for a champion that was never seen without."""
STALE = 10.0
"""A champion that takes longer to fill a window is asked too rarely for copies to hurt it."""


class Valve:
    """The share of the copies that passes, spread evenly."""

    __slots__ = ("_credit", "_resting", "_share")

    def __init__(self) -> None:
        self._share = 1.0
        self._credit = 0.0
        self._resting = 0

    @property
    def share(self) -> float:
        return LEAST_SHARE if self._resting else self._share

    def adjust(self, pressure: bool, rest: int = 0) -> None:
        """After a look. Pressure halves the share, after a `rest` of so many looks at the least share."""
        if self._resting:
            self._resting -= 1
        elif pressure:
            self._share = max(self._share / 2, LEAST_SHARE)
            self._resting = rest
        else:
            self._share = min(self._share + STEP, 1.0)

    def rest(self, looks: int) -> None:
        self._resting = max(self._resting, looks)

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
    """How long the champion's answers take: in the newest window, and as a rule. The rule is learned from windows of
    few copies alone, so that what copies do to the champion never becomes its usual."""

    __slots__ = ("_answers", "_copies", "_deviation", "_since", "_sum", "slow", "usual")

    def __init__(self, now: float) -> None:
        self.usual: float | None = None
        self.slow = False
        self._deviation = 0.0
        self._since = now
        self._sum = 0.0
        self._answers = 0
        self._copies = 0

    def copied(self) -> None:
        """Note that a copy was sent in this window."""
        self._copies += 1

    def observe(self, seconds: float, now: float) -> bool:
        """Take one answer in; True where a window has ended by it, and `slow` is of that window."""
        self._sum += seconds
        self._answers += 1
        if self._answers < PACE_SAMPLES or now - self._since < PACE_WINDOW:
            return False
        mean, alone = self._sum / self._answers, self._copies <= FEW_COPIES * self._answers
        self._since, self._sum, self._answers, self._copies = now, 0.0, 0, 0
        self.slow = self.usual is not None and mean > self._longest(self.usual)
        if alone:
            self._learn(mean)
        return True

    def stale(self, now: float) -> bool:
        return now - self._since > STALE

    def _longest(self, usual: float) -> float:
        return max(SLOWER * usual + SLOWER_BY, usual + DEVIATIONS * self._deviation)

    def _learn(self, mean: float) -> None:
        if self.usual is None:
            self.usual, self._deviation = mean, mean / 2
        else:
            self._deviation += (abs(mean - self.usual) - self._deviation) * DEVIATION_WEIGHT
            self.usual += (mean - self.usual) * USUAL_WEIGHT
