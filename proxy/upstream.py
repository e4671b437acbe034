"""The upstreams of the hot path: their pools, kept by (lane, origin) so that champion, candidate and shadows never
share a connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proxy.errors import UpstreamBusy, UpstreamRefused
from proxy.headers import request_head
from proxy.pool import Pool
from proxy.response import Response
from proxy.snapshot import Origin, UpstreamTls
from proxy.tls import Fresh, client_context
from proxy.upload import Upload

IDLE_EXPIRY = 1.0
"""Seconds after which an idle connection is closed, where its server does not say how long it keeps it: half of what
gunicorn keeps one that says nothing, the shortest of those that are in use."""


class _Lineup:
    """A target's servers in one lane, and their pools in the same order."""

    __slots__ = ("origins", "pools")

    def __init__(self, origins: tuple[Origin, ...], pools: tuple[Pool, ...]) -> None:
        self.origins = origins
        self.pools = pools


class Upstreams:
    """All pools of a worker, made when first used and closed when the snapshot no longer knows their origin."""

    def __init__(self, limit: int = 512, idle_expiry: float = IDLE_EXPIRY, eject_after: int = 3) -> None:
        self._limit = limit
        self.eject_after = eject_after
        self._idle_expiry = idle_expiry
        self._pools: dict[tuple[str, Origin], Pool] = {}
        self._lineups: dict[tuple[str, int], _Lineup] = {}  # by the identity of a snapshot's origins, which they hold
        self._tls: dict[UpstreamTls, Fresh] = {}
        self._turns = 0
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
            self._turns += 1
            pool.turn = self._turns
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
        """The pools in the order in which they are asked: those that keep failing last, however idle they are, before
        them those that keep answering badly, and of those that are as busy the one first that was asked longest ago."""
        pools = self._lineup(lane, origins)
        if len(pools) == 1:
            return pools
        return sorted(pools, key=lambda pool: (self._passed_over(pool), pool.erring, pool.under_way, pool.turn))

    def _passed_over(self, pool: Pool) -> bool:
        return pool.ejected or (bool(self.unwell) and pool.origin in self.unwell)

    def none_is_well(self, lane: str, origins: tuple[Origin, ...]) -> bool:
        """Whether each origin is unwell by its probes, or keeps failing in this lane."""
        for pool in self._lineup(lane, origins):  # noqa: SIM110 - a generator for each copy costs more than it finds
            if not self._passed_over(pool):
                return False
        return True

    def passed_over(self) -> set[Origin]:
        """The origins that are unwell by their probes, keep failing in any lane, or answer badly beside others."""
        several = [lineup.pools for lineup in self._lineups.values() if len(lineup.pools) > 1]
        erring = {pool.origin for pools in several for pool in pools if pool.erring}
        return self.unwell | erring | {origin for (_, origin), pool in self._pools.items() if pool.ejected}

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
