"""The real clock."""

from __future__ import annotations

import time


class SystemClock:
    """`gates.ports.Clock` of this machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()
