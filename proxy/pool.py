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
from proxy.standing import Standing
from proxy.tls import Fresh
from proxy.upload import Upload

logger = logging.getLogger("penstock.upstream")

TICK = 0.05
"""How often, in seconds, a pool looks for exchanges past their deadline and for connections that idled too long."""
ERRING_AFTER = 5
"""Bad answers in a row, of 5xx or broken off, after which others are asked first where there are any."""
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
        self._reach = Standing(eject_after)
        self._answers = Standing(ERRING_AFTER)
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._quiet_until = 0.0
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
        """Whether the origin keeps failing before it answers."""
        return self._reach.failures > 0 and self._reach.passed_over(monotonic())

    @property
    def erring(self) -> bool:
        """Whether it answers, and keeps doing so badly: nothing to be passed over for where it is the only one."""
        return self._answers.failures > 0 and self._answers.passed_over(monotonic())

    async def exchange(
        self, head: bytes, body: bytes, deadline: float, without_body: bool = False, rest: Upload | None = None
    ) -> Response:
        """Send one request and wait for the head of its answer. `deadline` is in time.monotonic's seconds.

        An idle connection that the server closed under the request's hands is tried once more on a new one: only
        where the connection was a reused one and no byte had come back. With a `rest`, which nobody could send twice,
        a new one is taken at once. Raises UpstreamFailed."""
        self.sent += 1
        reaching, answering = self._reach.begin(), self._answers.begin()
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
            self._reach.end(reaching)
            self._answers.end(answering)
        if self._reach.failures:
            self._reach.recover()
        if response.status >= 500:
            self._answered_badly()
        return response

    def _failed(self, now: float, failure: UpstreamFailed) -> None:
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET
            logger.warning("%s has failed: %s: %s", self.authority, failure.code, failure)
        if pause := self._reach.fail(now):
            logger.warning("%s keeps failing: passed over for %g s", self.authority, pause)

    def _answered_badly(self) -> None:
        if pause := self._answers.fail(monotonic()):
            logger.warning("%s keeps answering badly: others, if any, are asked for %g s", self.authority, pause)

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

    def answered(self, status: int) -> None:
        """An answer came whole."""
        if self._answers.failures and status < 500:
            self._answers.recover()

    def broke_off(self, status: int) -> None:
        """An answer ended before it was whole; one of 5xx was counted with its head."""
        if status < 500:
            self._answered_badly()

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
