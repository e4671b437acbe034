"""An answer that is coming in from an upstream."""

from __future__ import annotations

import asyncio
from typing import Protocol

from proxy.errors import UpstreamFailed
from proxy.headers import Fields
from proxy.strand import Signal

READ_AHEAD = 256 * 1024


class Source(Protocol):
    """The connection that an answer comes in on."""

    def resume_reading(self) -> None: ...

    def abort(self) -> None:
        """Close at once, failing the answer."""


class Response:
    """One answer on its way in: status and fields are there, the body follows through `read`."""

    __slots__ = (
        "_buffered",
        "_chunks",
        "_failure",
        "_loop",
        "_source",
        "_waiter",
        "complete",
        "ended",
        "fields",
        "held",
        "held_since",
        "status",
        "touched",
        "without_body",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, source: Source, without_body: bool) -> None:
        self.status = 0
        self.fields: Fields = []
        self.complete = False
        self.touched = False
        self.held = 0.0
        """Seconds that the upstream was kept from going on, as its reader had fallen behind."""
        self.held_since = 0.0
        """Since when it is kept from it, by time.monotonic; 0 while it is not."""
        self.ended = 0.0
        """When it came whole, by time.monotonic; 0 before."""
        self.without_body = without_body
        self._loop = loop
        self._source = source
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._failure: UpstreamFailed | None = None
        self._waiter: Signal | None = None

    @property
    def readable(self) -> bool:
        """Whether `read` would return at once."""
        return self.complete or bool(self._chunks)

    @property
    def finished(self) -> bool:
        """Whether the answer came whole and every byte of it has been read."""
        return self.complete and not self._chunks

    async def started(self) -> None:
        """Wait until status and fields are there. Raises UpstreamFailed."""
        while not self.status:
            await self._changed()

    async def read(self) -> bytes:
        """The bytes that have come since the last read, waiting for some; b"" at the body's end. Raises
        UpstreamFailed."""
        while not self._chunks:
            if self.complete:
                return b""
            await self._changed()
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        if self._buffered > READ_AHEAD and not self.complete:
            self._source.resume_reading()
        self._buffered = 0
        return data

    async def read_all(self, limit: int) -> bytes | None:
        """The rest of the body, or None where it is longer than `limit` bytes: then the exchange is given up."""
        parts = []
        size = 0
        while chunk := await self.read():
            size += len(chunk)
            if size > limit:
                self.discard()
                return None
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def discard(self) -> None:
        """Give the exchange up; its connection is closed unless the answer had come whole."""
        if not self.complete:
            self._source.abort()

    async def _changed(self) -> None:
        """Wait for the next bytes. Raises UpstreamFailed where none will come; cancelling closes the connection."""
        if self._failure is None:
            self._waiter = Signal(self._loop)
            try:
                await self._waiter
            except asyncio.CancelledError:
                self.discard()
                raise
        if self._failure is not None and not self._chunks:
            raise self._failure

    def add(self, data: bytes) -> bool:
        """Take a piece of the body; False when the reader has fallen behind and the connection should pause."""
        self._chunks.append(data)
        self._buffered += len(data)
        return self._buffered <= READ_AHEAD

    def fail(self, failure: UpstreamFailed) -> None:
        if not self.complete and self._failure is None:
            self._failure = failure
            self.wake()

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.fire()
