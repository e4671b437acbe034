"""Holds copies back while they may hurt: while the worker's loop lags, or a champion answers slower than usual."""

from __future__ import annotations

import asyncio
from time import monotonic

from proxy.throttle import Lag, Pace, Valve

BEAT = 0.05
"""Seconds between two looks at the loop."""
LONGEST_LAG = 0.1
"""Seconds, smoothed, by which the loop may be late before copies are held back."""


class Brake:
    """One for a worker: the loop is shared by all models, and each champion has a pace of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.on = True
        self.champions: dict[str, tuple[Pace, Valve]] = {}
        self._loop = loop
        self._lag, self._valve = Lag(), Valve()
        self._heart: asyncio.TimerHandle | None = None
        self._asked = False  # since the last beat

    @property
    def beating(self) -> bool:
        """Whether the loop is looked at: as long as there is something to mirror."""
        return self._heart is not None

    def reason(self, model: str, champion_took: float | None) -> str:
        """Why this copy had better not be sent, "" where nothing speaks against it. `champion_took` is the time to the
        head of the champion's answer, in seconds, where the champion answered."""
        if not self.on:
            return ""
        self._asked = True
        if self._heart is None:
            self._heart = self._loop.call_later(BEAT, self._beat, monotonic() + BEAT)
        known = self.champions.get(model)
        if known is None:
            known = self.champions[model] = Pace(monotonic()), Valve()
        pace, valve = known
        if champion_took is not None and pace.observe(champion_took, monotonic()):
            valve.adjust(pace.slow)
        if not self._valve.lets_through():
            return "loop_lag"
        return "" if valve.lets_through() else "champion_slow"

    def stop(self) -> None:
        if self._heart is not None:
            self._heart.cancel()

    def _beat(self, due: float) -> None:
        self._lag.observe(monotonic() - due)
        self._valve.adjust(self._lag.seconds > LONGEST_LAG)
        going_on = self._asked or self._valve.share < 1
        self._asked = False
        self._heart = self._loop.call_later(BEAT, self._beat, monotonic() + BEAT) if going_on else None
