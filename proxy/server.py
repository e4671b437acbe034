"""The server of a worker: uvicorn's, with a sweep for late clients and a drain that loses nothing."""

from __future__ import annotations

import asyncio
import socket
from types import FrameType
from typing import Protocol

import uvicorn

from proxy.gateway import GatewayProtocol, Limits


class Readiness(Protocol):
    """What the drain tells first: that no new client should come here."""

    draining: bool


class Server(uvicorn.Server):
    """uvicorn's server, with a sweep for late clients and a drain: connections are told to close before they are
    closed."""

    def __init__(self, config: uvicorn.Config, limits: Limits, readiness: Readiness) -> None:
        super().__init__(config)
        self.limits = limits
        self.readiness = readiness

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn raises the signal once more when it has served, which would end the worker before its last windows
        are out."""
        super().handle_exit(sig, frame)
        self._captured_signals.clear()

    async def on_tick(self, counter: int) -> bool:
        if counter % 5 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, GatewayProtocol):
                    connection.give_up_if_late(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what is under way with `connection: close`, give idle clients a moment to use or leave
        their connections, and only then close what is left."""
        self.readiness.draining = True
        for server in self.servers:
            server.close()
        for connection in self.server_state.connections:
            if isinstance(connection, GatewayProtocol):
                connection.closing = True
        await self._wait_for_clients(self.limits.linger_seconds)
        await super().shutdown(sockets)

    async def _wait_for_clients(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.server_state.connections and loop.time() < deadline:  # noqa: ASYNC110 - uvicorn keeps a plain set
            await asyncio.sleep(0.02)
