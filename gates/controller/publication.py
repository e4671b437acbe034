"""The snapshot that is in force, and the polls that wait for the next one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gates.state import UNROUTED
from proxy import snapshot as snapshots
from proxy.snapshot import Snapshot


class Publication:
    """What is published is told apart by identity, not by number: see `gates.controller.workers`."""

    def __init__(self) -> None:
        self.current: Snapshot = UNROUTED
        self.raw: bytes = snapshots.encode(UNROUTED)
        self._changed = asyncio.Event()
        self._closed = False

    def publish(self, snapshot: Snapshot) -> None:
        """Put a snapshot in force and wake all who wait; the one that is in force already wakes nobody."""
        if snapshot == self.current:
            return
        self.current = snapshot
        self.raw = snapshots.encode(snapshot)
        self._wake()

    async def beyond(self, held: Snapshot | None, timeout: float) -> Snapshot | None:
        """The snapshot in force as soon as it is another than `held`, None where it is not within `timeout` seconds."""
        if held is self.current and not self._closed:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), timeout)
        return None if held is self.current or self._closed else self.current

    def release(self) -> None:
        """Let all go who wait, without an answer: another control plane has one."""
        self._wake()

    def close(self) -> None:
        """Let all go who wait, and whoever comes: the process is about to end."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
