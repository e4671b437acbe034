"""A worker in a process of its own, and a champion behind it, for clients that try what they can.

The oracle is outside: what the champion received, and what the kernel counts for the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from uvicorn._types import ASGISendCallable

from proxy.snapshot import ModelRoute, Origin, Snapshot
from tests.servers import Background, ModelServer, Seen, eventually, reply
from tests.wire import PATIENCE, call
from tests.workers import WorkerProcess, target

MIB = 1024 * 1024
MAX_BODY = MIB
BUFFER = MAX_BODY // 16
"""Of a model of its own, whose longer uploads are passed on as they come."""


class Champion(ModelServer):
    """It answers with what it was sent; behind /wait never, and behind /stream without an end."""

    def __init__(self, background: Background) -> None:
        super().__init__(background, self._answer)

    async def _answer(self, seen: Seen, send: ASGISendCallable) -> None:
        if seen.target == b"/wait":
            await asyncio.sleep(3600)
        if seen.target == b"/stream":
            await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": False})
            while self.connections:
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
                await asyncio.sleep(0.01)
        await reply(send, seen.body or seen.target)

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def forget(self) -> None:
        self.seen.clear()


@dataclass
class Stage:
    worker: WorkerProcess
    champion: Champion

    @property
    def port(self) -> int:
        return self.worker.port

    def at_rest(self) -> int:
        """The worker's descriptors when nothing has been asked for a while: its kept connections have ended by then."""
        eventually(lambda: self.champion.connections == 0)
        return self.worker.descriptors

    def comes_to_rest(self, before: int, within: float = PATIENCE) -> None:
        eventually(lambda: self.champion.connections == 0 and self.worker.descriptors <= before, within)

    def answers(self) -> bool:
        return call(self.port, "POST", "/", (), b"still there").body == b"still there"


def routes_to(champion: Champion) -> tuple[ModelRoute, ModelRoute]:
    held = ModelRoute("held", "/", target("40", champion), timeout=300.0, max_body=MAX_BODY)
    return held, replace(held, model="passed_on", path_prefix="/passed-on", buffer=BUFFER)


@contextmanager
def staged(background: Background, folder: Path) -> Iterator[Stage]:
    with (
        Champion(background) as champion,
        WorkerProcess(Origin("127.0.0.1", 9), folder, Snapshot(1, routes_to(champion))) as worker,
    ):
        yield Stage(worker, champion)
