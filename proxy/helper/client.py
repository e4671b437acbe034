"""The worker's end of its helper: started when the first long pair comes, and anew, after a rest, where it died."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from threading import Thread
from time import monotonic
from typing import cast

import msgspec

from proxy.helper.frames import FoundReader, framed
from proxy.pairs import Found, Pair

logger = logging.getLogger("penstock.worker")

MOST_WAITING = 4 * 1024 * 1024
"""Bytes of all pairs that the helper is still to look at; a pair that waits alone may have any size."""
LONGEST = 10.0
"""Seconds for one pair; a helper that takes more is stuck."""
REST = 5.0
"""Seconds from one start to the next."""
COMMAND = (sys.executable, "-P", "-m", "proxy.helper")


class Helper:
    """At most one process at a time. It holds nothing but the pairs under way, so it may be killed at any time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, command: tuple[str, ...] = COMMAND) -> None:
        self._loop = loop
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._line: _Line | None = None
        self._opening: asyncio.Future[None] | None = None
        self._may_start_at = 0.0
        self._waiting = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def has_room_for(self, size: int) -> bool:
        """Whether a pair of so many bytes may wait."""
        return not self._waiting or self._waiting + size <= MOST_WAITING

    async def look_at(self, pair: Pair, counted: bool) -> Found | str:
        """What was found; or why nothing was: "helper_busy", "helper_lost"."""
        if not self.has_room_for(pair.size):
            return "helper_busy"
        self._waiting += pair.size
        try:
            line = self._line or await self._started()
            return line if isinstance(line, str) else await line.ask(framed(pair, counted)) or "helper_lost"
        finally:
            self._waiting -= pair.size

    def stop(self) -> None:
        self._may_start_at = math.inf
        self._end()

    async def _started(self) -> _Line | str:
        if self._opening is not None:
            await self._opening
            return self._line or "helper_lost"
        if monotonic() < self._may_start_at:
            return "helper_lost"
        self._may_start_at = monotonic() + REST
        try:
            ours = self._start()
        except OSError as error:
            logger.warning("long answers are not compared: the process for it cannot be started: %s", error)
            return "helper_lost"
        return await self._open(ours)

    async def _open(self, ours: socket.socket) -> _Line:
        self._opening = opening = self._loop.create_future()
        try:
            _, self._line = await self._loop.create_connection(lambda: _Line(self._loop, self._lost), sock=ours)
        finally:
            self._opening = None
            opening.set_result(None)
        return self._line

    def _start(self) -> socket.socket:
        """Our end of the line to a new process. Raises OSError."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            try:
                self._process = subprocess.Popen(list(self._command), stdin=theirs.fileno(), stdout=theirs.fileno())
            except OSError:
                ours.close()
                raise
        return ours

    def _lost(self) -> None:
        if self._process is not None:
            logger.warning("the process that compares long answers has ended; another follows in %.0f s at most", REST)
        self._end()

    def _end(self) -> None:
        """Kill it, and wait for its end in a thread: on a full core one of so little weight takes seconds to die."""
        line, process, self._line, self._process = self._line, self._process, None, None
        if process is not None:
            process.kill()
            Thread(target=process.wait, name="the end of a helper").start()
        if line is not None:
            line.close()


class _Line(asyncio.Protocol):
    """The connection to one helper. It answers in the order in which it is asked."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: Callable[[], None]) -> None:
        self._loop = loop
        self._lost = lost
        self._reader = FoundReader()
        self._asked: deque[asyncio.Future[Found | None]] = deque()
        self._deadline: asyncio.TimerHandle | None = None

    async def ask(self, frame: list[bytes]) -> Found | None:
        """None where the helper is lost meanwhile."""
        answer: asyncio.Future[Found | None] = self._loop.create_future()
        self._asked.append(answer)
        self._transport.writelines(frame)
        if self._deadline is None:
            self._deadline = self._loop.call_later(LONGEST, self.close)
        return await answer

    def close(self) -> None:
        self._transport.abort()

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            found = self._reader.feed(data)
        except msgspec.DecodeError:
            self.close()
            return
        for one in found:
            self._settle(self._asked.popleft(), one)
        if found and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = self._loop.call_later(LONGEST, self.close) if self._asked else None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._lost()
        while self._asked:
            self._settle(self._asked.popleft(), None)

    def _settle(self, answer: asyncio.Future[Found | None], found: Found | None) -> None:
        if not answer.done():  # it may have been cancelled
            answer.set_result(found)
