"""The worker's end of the two messages: snapshots come in by long poll, windows go out. Neither is on a request's path.

The control plane may be gone for any time: the worker goes on serving on its last good snapshot, kept on disk too,
and its windows are cumulative, so the next push that arrives brings all that was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from proxy import snapshot as snapshots
from proxy.errors import UpstreamFailed
from proxy.local import Holder
from proxy.push import Push, encode_push
from proxy.snapshot import Snapshot
from proxy.windows import Windows

logger = logging.getLogger("penstock.link")

POLL_SECONDS = 30.0
PUSH_SECONDS = 5.0
PUSH_EVERY = 0.25
PUSH_APART = 0.025
"""Seconds between the pushes of a round, where there is more to tell than one may hold: of a thousand busy models each
is told of once a second, which takes little of the worker's time and of the control plane's."""
BEAT_EVERY = 1.0
RETRY_FIRST = 0.1
RETRY_MOST = 2.0
MAX_SNAPSHOT = 64 * 1024 * 1024


class Control(Protocol):
    """One exchange with the control plane. Raises UpstreamFailed."""

    async def __call__(self, method: str, target: str, body: bytes, timeout: float) -> tuple[int, bytes]: ...


class Link:
    """Pulls snapshots into `holder` and pushes `windows`; `adopted` is called with each new snapshot."""

    def __init__(
        self,
        control: Control,
        holder: Holder,
        windows: Windows,
        cache: Path | None,
        adopted: Callable[[Snapshot], None],
    ) -> None:
        self._control = control
        self._holder = holder
        self._windows = windows
        self._cache = cache
        self._adopted = adopted

    def restore(self) -> None:
        """Start from the snapshot on disk, so that a restart needs no control plane; a damaged file is passed over."""
        if self._cache is None:
            return
        try:
            self._adopt(snapshots.decode(self._cache.read_bytes()))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            logger.warning("snapshot cache %s is not usable, waiting for the control plane: %s", self._cache, error)

    async def pull(self) -> None:
        """Take snapshots as they come, for ever. Each poll acknowledges the generation that is routed by now."""
        pause = RETRY_FIRST
        while True:
            try:
                await self._poll()
                pause = RETRY_FIRST
            except (UpstreamFailed, ValueError) as error:
                logger.warning("no snapshot from the control plane, trying again in %.1f s: %s", pause, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MOST)

    async def push(self) -> None:
        """Send what changed, for ever; with nothing to send, a sign of life."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(PUSH_EVERY)
            if self._windows.changed or loop.time() - last >= BEAT_EVERY:
                last = loop.time()
                await self.push_round(PUSH_APART)

    async def push_round(self, pause: float = 0.0) -> None:
        """Send all windows that have changed by now, in as many pushes as it takes, with a `pause` between them in
        which requests are answered. One that is not received ends the round: the next would hardly be."""
        left = self._windows.waiting
        while await self._push(push := self._windows.next_push()):
            left -= len(push.samples)
            if left <= 0:
                self._forget_old()
                return
            await asyncio.sleep(pause)

    async def _push(self, push: Push) -> bool:
        """Whether it was received; if not, for whatever reason, its windows stand as changed again."""
        received = False
        try:
            status, _ = await self._control("POST", "/link/windows", encode_push(push), PUSH_SECONDS)
            received = status == 204
        except UpstreamFailed as failure:
            logger.debug("windows not received: %s", failure)
        finally:
            if not received:
                self._windows.put_back(push)
        return received

    def _forget_old(self) -> None:
        if self._holder.current is not None:
            self._windows.forget_old(self._holder.current, asyncio.get_running_loop().time())

    async def _poll(self) -> None:
        held = self._holder.current.generation if self._holder.current else 0
        target = f"/link/snapshot?worker={self._windows.worker}&generation={held}"
        status, body = await self._control("GET", target, b"", POLL_SECONDS)
        if status == 200:
            self._adopt(snapshots.decode(body))
            self._keep(body)
        elif status != 204:
            raise ValueError(f"the control plane answered {status}")

    def _adopt(self, snapshot: Snapshot) -> None:
        self._holder.current = snapshot
        self._adopted(snapshot)
        logger.info("routing by generation %d", snapshot.generation)

    def _keep(self, raw: bytes) -> None:
        """Replace the cache whole: a reader never finds half a snapshot."""
        if self._cache is None:
            return
        draft = self._cache.with_name(f"{self._cache.name}.{self._windows.worker}")
        try:
            draft.write_bytes(raw)
            draft.replace(self._cache)
        except OSError as error:
            logger.warning("snapshot not kept in %s: %s", self._cache, error)
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
