"""The keep-alive connections to one origin, and whether it keeps failing."""

from __future__ import annotations

import asyncio
import logging
import ssl
from time import monotonic

from proxy.connection import Connection
from proxy.errors import (
    UpstreamBusy,
    UpstreamClosed,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUntrusted,
)
from proxy.response import Response
from proxy.snapshot import Origin
from proxy.tls import Fresh
from proxy.upload import Upload

logger = logging.getLogger("penstock.upstream")

TICK = 0.05
"""How often, in seconds, a pool looks for exchanges past their deadline and for connections that idled too long."""
EJECTED_FIRST = 1.0
EJECTED_MOST = 30.0
"""Seconds that an origin is passed over: when it has failed so often in a row one, and after each further failure twice
as long."""

QUIET = 1.0
"""Seconds between two lines in the log about an origin's failures."""


class Pool:
    """The connections to one origin in one lane. The count is exact: each is counted from the attempt to connect to
    its end."""

    def __init__(
        self, origin: Origin, limit: int, idle_expiry: float, tls: Fresh | None = None, eject_after: int = 3
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.authority = origin.authority
        self.origin = origin
        self._tls = tls
        self._limit = limit
        self.idle_expiry = idle_expiry
        self._eject_after = eject_after
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._failures = 0
        self._ejected_until = 0.0
        self._quiet_until = 0.0
        self._trials = 0  # exchanges that find out whether it still fails
        self.sent = 0
        self.turn = 0
        """When it was asked last, by the count of its `Upstreams`."""

    @property
    def size(self) -> int:
        return len(self._open)

    @property
    def under_way(self) -> int:
        return len(self._open) - len(self._idle)

    @property
    def ejected(self) -> bool:
        """Whether the origin keeps failing. When its time is over, one exchange at a time tries whether it does."""
        if self._failures < self._eject_after:
            return False
        return monotonic() < self._ejected_until or self._trials > 0

    async def exchange(
        self, head: bytes, body: bytes, deadline: float, without_body: bool = False, rest: Upload | None = None
    ) -> Response:
        """Send one request and wait for the head of its answer. `deadline` is in time.monotonic's seconds.

        An idle connection that the server closed under the request's hands is tried once more on a new one: only
        where the connection was a reused one and no byte had come back. With a `rest`, which nobody could send twice,
        a new one is taken at once. Raises UpstreamFailed."""
        self.sent += 1
        trial = self._failures >= self._eject_after
        self._trials += trial
        try:
            if rest is None:
                response = await self._exchange(head, body, deadline, without_body)
            else:
                response = await self._pass_on(head, body, deadline, without_body, rest)
        except UpstreamBusy:
            raise  # our own limit says nothing of the origin
        except UpstreamFailed as failure:
            if rest is None or rest.refusal is None:
                self._failed(monotonic(), failure)
            raise
        finally:
            self._trials -= trial
        if self._failures:
            self._failures = 0
            self._ejected_until = 0.0
        return response

    def _failed(self, now: float, failure: UpstreamFailed) -> None:
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET
            logger.warning("%s has failed: %s: %s", self.authority, failure.code, failure)
        if now < self._ejected_until:
            return  # it was asked before it was ejected, or because there was no other
        self._failures += 1
        if self._failures >= self._eject_after:
            pause = min(EJECTED_FIRST * 2.0 ** min(self._failures - self._eject_after, 16), EJECTED_MOST)
            self._ejected_until = now + pause
            logger.warning("%s keeps failing: passed over for %g s", self.authority, pause)

    async def _exchange(self, head: bytes, body: bytes, deadline: float, without_body: bool) -> Response:
        connection = self._take_idle()
        if connection is not None:
            response = connection.send(head, body, deadline, without_body)
            try:
                await response.started()
                return response
            except UpstreamClosed:
                if response.touched:
                    raise
        response = (await self._connect(deadline)).send(head, body, deadline, without_body)
        await response.started()
        return response

    async def _pass_on(self, head: bytes, body: bytes, deadline: float, without_body: bool, rest: Upload) -> Response:
        connection = await self._connect(deadline)
        response = connection.send(head, rest.framed(body), deadline, without_body)
        connection.upload(rest)
        await response.started()
        return response

    def _take_idle(self) -> Connection | None:
        now = monotonic()
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_until >= now and not connection.closed:
                return connection
            connection.abort()
        return None

    async def _connect(self, deadline: float) -> Connection:
        if self.size >= self._limit and self._idle:  # an upload takes none of these
            self._idle[0].abort()
        if self.size >= self._limit:
            raise UpstreamBusy(f"{self._limit} connections are in use")
        connection = Connection(self)
        self._open.add(connection)
        if self._ticking is None:
            self._ticking = self.loop.call_later(TICK, self._tick)
        opened = False
        attempt = self.loop.create_task(self._open_by(connection, deadline))
        try:
            await attempt
            opened = not connection.closed
        except TimeoutError:
            raise UpstreamTimeout("no connection before the deadline") from None
        except ssl.SSLError as error:
            raise UpstreamUntrusted(str(error)) from None
        except (OSError, ValueError) as error:  # a ValueError is of a name that cannot be asked for
            raise UpstreamRefused(str(error)) from None
        finally:
            if not opened:
                attempt.cancel()
                connection.abort()
        if not opened:
            raise UpstreamClosed("closed as soon as it was open")
        return connection

    async def _open_transport(self, connection: Connection) -> None:
        host, port = self.origin.host, self.origin.port
        if self._tls is None or self.origin.tls is None:
            await self.loop.create_connection(lambda: connection, host, port)
            return
        try:
            context = self._tls.current()
        except OSError as error:
            raise UpstreamUntrusted(f"the TLS files in its settings: {error}") from None
        name = self.origin.tls.server_name or host
        await self.loop.create_connection(lambda: connection, host, port, ssl=context, server_hostname=name)

    async def _open_by(self, connection: Connection, deadline: float) -> None:
        """In a task, as a deadline of asyncio's asks for one."""
        async with asyncio.timeout(deadline - monotonic()):
            await self._open_transport(connection)

    def release(self, connection: Connection) -> None:
        connection.idle_until = monotonic() + connection.idle_seconds
        self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _tick(self) -> None:
        now = monotonic()
        for connection in list(self._open):
            connection.expire(now)
        self.close_idle(now)
        self._ticking = self.loop.call_later(TICK, self._tick) if self._open else None

    def close_idle(self, now: float) -> None:
        """Close what has idled for as long as it may by `now`: servers close theirs soon after."""
        for connection in [c for c in self._idle if c.idle_until < now]:
            self._idle.remove(connection)
            connection.abort()

    def close(self) -> None:
        for connection in list(self._open):
            connection.abort()
        if self._ticking is not None:
            self._ticking.cancel()
