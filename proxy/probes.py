"""Health probes: each server of a model that wants them is asked now and then whether it is well. They are no traffic:
they have connections of their own and are counted nowhere.
"""

from __future__ import annotations

import asyncio
import logging
import random
from time import monotonic

from proxy.errors import UpstreamFailed
from proxy.headers import request_head
from proxy.snapshot import HealthProbe, Origin, Snapshot
from proxy.upstream import Upstreams

logger = logging.getLogger("penstock.probes")

LANE = "health"
_FIELDS = b"user-agent: penstock-probe\r\nconnection: close\r\n"
_LONGEST_ANSWER = 64 * 1024


class Probes:
    """One task for each server of the snapshot that is to be probed; what they find stands in `upstreams.unwell`.

    A server that several models share is probed as the first of them wants it."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._watches: dict[tuple[Origin, HealthProbe], asyncio.Task[None]] = {}

    def adopt(self, snapshot: Snapshot) -> None:
        """Probe the servers of this snapshot from now on, and no others."""
        wanted: dict[Origin, HealthProbe] = {}
        for route in snapshot.routes:
            for target in (route.champion, route.candidate):
                if target is not None and route.health is not None:
                    for origin in target.origins:
                        wanted.setdefault(origin, route.health)
        for key in [key for key in self._watches if wanted.get(key[0]) != key[1]]:
            self._watches.pop(key).cancel()
        self._upstreams.unwell.intersection_update(wanted)
        for origin, probe in wanted.items():
            if (origin, probe) not in self._watches:
                task = asyncio.get_running_loop().create_task(self._watch(origin, probe))
                task.add_done_callback(_ended)
                self._watches[origin, probe] = task

    async def stop(self) -> None:
        tasks = list(self._watches.values())
        self._watches.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, origin: Origin, probe: HealthProbe) -> None:
        """Ask for ever. A server is taken to be well until so many probes in a row say otherwise."""
        unwell = self._upstreams.unwell
        against = 0  # probes in a row that contradict what is held of the server
        await asyncio.sleep(random.uniform(0, probe.interval))  # many servers, and many workers, not all at once
        while True:
            trouble = await self._trouble(origin, probe)
            against = against + 1 if bool(trouble) != (origin in unwell) else 0
            if trouble and against >= probe.unhealthy_after:
                unwell.add(origin)
                logger.warning("%s is unwell: %d probes failed, the last by: %s", origin.authority, against, trouble)
                against = 0
            elif not trouble and against >= probe.healthy_after:
                unwell.discard(origin)
                logger.info("%s is well again", origin.authority)
                against = 0
            await asyncio.sleep(probe.interval)

    async def _trouble(self, origin: Origin, probe: HealthProbe) -> str:
        """What is wrong with the server, "" where nothing is."""
        deadline = monotonic() + probe.timeout
        head = request_head("GET", probe.path.encode(), origin.authority, _FIELDS)
        try:
            response = await self._upstreams.pool(LANE, origin).exchange(head, b"", deadline)
            await response.read_all(_LONGEST_ANSWER)
        except UpstreamFailed as failure:
            return str(failure)
        return "" if 200 <= response.status < 300 else f"status {response.status}"


def _ended(watch: asyncio.Task[None]) -> None:
    """Only cancelling ends a watch; whatever else does is a bug, and traffic can do without it."""
    if not watch.cancelled():
        logger.critical("a server is not probed any more", exc_info=watch.exception())
