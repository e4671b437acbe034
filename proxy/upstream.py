"""The upstreams of the hot path: keep-alive pools, kept by (lane, origin) so that champion, candidate and shadows never
share a connection."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable, Sequence
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
from proxy.headers import request_head
from proxy.response import Response
from proxy.snapshot import Origin, UpstreamTls
from proxy.tls import Fresh, client_context
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
        self._idle_expiry = idle_expiry
        self._eject_after = eject_after
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._ticking: asyncio.TimerHandle | None = None
        self._failures = 0
        self._ejected_until = 0.0
        self._quiet_until = 0.0
        self._trials = 0  # exchanges that find out whether it still fails
        self.sent = 0

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
        oldest = monotonic() - self._idle_expiry
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since >= oldest and not connection.closed:
                return connection
            connection.abort()
        return None

    async def _connect(self, deadline: float) -> Connection:
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
        except OSError as error:
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
        connection.idle_since = monotonic()
        self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _tick(self) -> None:
        now = monotonic()
        for connection in list(self._open):
            connection.expire(now)
        self.close_idle(now - self._idle_expiry)
        self._ticking = self.loop.call_later(TICK, self._tick) if self._open else None

    def close_idle(self, older_than: float) -> None:
        """Close what has idled since before `older_than`: servers close theirs soon after."""
        for connection in [c for c in self._idle if c.idle_since < older_than]:
            self._idle.remove(connection)
            connection.abort()

    def close(self) -> None:
        for connection in list(self._open):
            connection.abort()
        if self._ticking is not None:
            self._ticking.cancel()


class _Lineup:
    """A target's servers in one lane, and their pools in the same order."""

    __slots__ = ("origins", "pools")

    def __init__(self, origins: tuple[Origin, ...], pools: tuple[Pool, ...]) -> None:
        self.origins = origins
        self.pools = pools


class Upstreams:
    """All pools of a worker, made when first used and closed when the snapshot no longer knows their origin."""

    def __init__(self, limit: int = 512, idle_expiry: float = 2.0, eject_after: int = 3) -> None:
        self._limit = limit
        self.eject_after = eject_after
        self._idle_expiry = idle_expiry
        self._pools: dict[tuple[str, Origin], Pool] = {}
        self._lineups: dict[tuple[str, int], _Lineup] = {}  # by the identity of a snapshot's origins, which they hold
        self._tls: dict[UpstreamTls, Fresh] = {}
        self.unwell: set[Origin] = set()
        """The origins that their health probes found unwell."""

    def pool(self, lane: str, origin: Origin) -> Pool:
        pool = self._pools.get((lane, origin))
        if pool is None:
            tls = self._fresh(origin.tls) if origin.tls else None
            pool = self._pools[lane, origin] = Pool(origin, self._limit, self._idle_expiry, tls, self.eject_after)
        return pool

    def _fresh(self, tls: UpstreamTls) -> Fresh:
        """One context for all who connect in the same way: reading the system's authorities takes milliseconds."""
        fresh = self._tls.get(tls)
        if fresh is None:
            fresh = self._tls[tls] = client_context(tls)
        return fresh

    async def send(
        self,
        lane: str,
        origins: tuple[Origin, ...],
        method: str,
        target: bytes,
        fields: bytes,
        body: bytes,
        deadline: float,
        limit: int,
        rest: Upload | None = None,
    ) -> Response:
        """Ask the origin with the fewest exchanges under way; one that refuses the connection has seen nothing of the
        request, so the next one is asked. Raises UpstreamFailed: UpstreamBusy where `limit` exchanges are under way."""
        refusal: UpstreamRefused | None = None
        pools = self._by_load(lane, origins)
        if (pools[0].under_way if len(pools) == 1 else sum(pool.under_way for pool in pools)) >= limit:
            raise UpstreamBusy(f"{limit} requests are under way already")
        for pool in pools:
            head = request_head(method, target, pool.authority, fields)
            try:
                return await pool.exchange(head, body, deadline, method == "HEAD", rest)
            except UpstreamRefused as refused:
                refusal = refused
        raise refusal or UpstreamRefused("no origin")

    def _lineup(self, lane: str, origins: tuple[Origin, ...]) -> tuple[Pool, ...]:
        lineup = self._lineups.get((lane, id(origins)))
        if lineup is None:
            lineup = _Lineup(origins, tuple([self.pool(lane, origin) for origin in origins]))
            self._lineups[lane, id(origins)] = lineup
        return lineup.pools

    def _by_load(self, lane: str, origins: tuple[Origin, ...]) -> Sequence[Pool]:
        """The pools in the order in which they are asked: those that keep failing last, however idle they are."""
        pools = self._lineup(lane, origins)
        if len(pools) == 1:
            return pools
        return sorted(pools, key=lambda pool: (self._passed_over(pool), pool.under_way, pool.sent))

    def _passed_over(self, pool: Pool) -> bool:
        return pool.ejected or (bool(self.unwell) and pool.origin in self.unwell)

    def none_is_well(self, lane: str, origins: tuple[Origin, ...]) -> bool:
        """Whether each origin is unwell by its probes, or keeps failing in this lane."""
        for pool in self._lineup(lane, origins):  # noqa: SIM110 - a generator for each copy costs more than it finds
            if not self._passed_over(pool):
                return False
        return True

    def passed_over(self) -> set[Origin]:
        """The origins that are unwell by their probes, or keep failing in any lane."""
        return self.unwell | {origin for (_, origin), pool in self._pools.items() if pool.ejected}

    def retain(self, origins: Iterable[Origin]) -> None:
        """Close the idle connections of pools to other origins, and forget those pools once they are empty."""
        known = set(origins)
        self._lineups.clear()
        for key in [key for key in self._pools if key[1] not in known]:
            self._pools[key].close_idle(float("inf"))
            if not self._pools[key].size:
                del self._pools[key]
        in_use = {origin.tls for _, origin in self._pools} | {origin.tls for origin in known}
        self._tls = {tls: fresh for tls, fresh in self._tls.items() if tls in in_use}

    @property
    def connections(self) -> int:
        return sum(pool.size for pool in self._pools.values())

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._lineups.clear()
