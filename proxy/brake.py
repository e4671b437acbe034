"""Holds copies back while they may hurt: while the worker's loop lags, or a champion answers slower than by itself."""

from __future__ import annotations

import asyncio
from time import monotonic

from proxy.throttle import FIRST_REST, REST, Lag, Pace, Valve

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

    def observe(self, model: str, seconds: float) -> None:
        """Take in the time to the head of an answer of the champion's, whether the request is copied or not."""
        if not self.on:
            return
        now = monotonic()
        pace, valve = self._champion(model, now)
        if pace.observe(seconds, now):
            valve.adjust(pace.slow, REST)
            if pace.usual is None:
                valve.rest(FIRST_REST)

    def reason(self, model: str) -> str:
        """Why this copy had better not be sent, "" where nothing speaks against it."""
        if not self.on:
            return ""
        self._asked = True
        now = monotonic()
        if self._heart is None:
            self._heart = self._loop.call_later(BEAT, self._beat, now + BEAT)
        if not self._valve.lets_through():
            return "loop_lag"
        pace, valve = self._champion(model, now)
        if not (valve.lets_through() or pace.stale(now)):
            return "champion_slow"
        pace.copied()
        return ""

    def stop(self) -> None:
        if self._heart is not None:
            self._heart.cancel()

    def _champion(self, model: str, now: float) -> tuple[Pace, Valve]:
        known = self.champions.get(model)
        if known is None:
            known = self.champions[model] = Pace(now), Valve()
        return known

    def _beat(self, due: float) -> None:
        self._lag.observe(monotonic() - due)
        self._valve.adjust(self._lag.seconds > LONGEST_LAG)
        going_on = self._asked or self._valve.share < 1
        self._asked = False
        self._heart = self._loop.call_later(BEAT, self._beat, monotonic() + BEAT) if going_on else None
