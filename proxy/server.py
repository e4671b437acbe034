"""The server of a worker: uvicorn's, with a sweep for late clients and a drain that loses nothing."""

from __future__ import annotations

import asyncio
import socket
from types import FrameType
from typing import Protocol

import uvicorn

from proxy.gateway import GatewayProtocol
from proxy.limits import Limits


class Readiness(Protocol):
    """What the drain tells first: that no new client should come here."""

    draining: bool


class Server(uvicorn.Server):
    """uvicorn's server, with a sweep for late clients and a drain: connections are told to close before they are
    closed."""

    def __init__(self, config: uvicorn.Config, limits: Limits, readiness: Readiness) -> None:
        super().__init__(config)
        self.servers: list[asyncio.base_events.Server] = []
        self.limits = limits
        self.readiness = readiness

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn raises the signal once more when it has served, which would end the worker before its last windows
        are out."""
        super().handle_exit(sig, frame)
        self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """On the sockets that are given, with deadlines for what TLS does before and after the requests."""
        loop = asyncio.get_running_loop()
        secure = self.config.ssl is not None
        for listener in sockets or []:
            server = await loop.create_server(
                self._protocol,
                sock=listener,
                backlog=self.config.backlog,
                ssl=self.config.ssl,
                ssl_handshake_timeout=self.limits.head_seconds if secure else None,
                ssl_shutdown_timeout=self.limits.body_seconds if secure else None,
            )
            self.servers.append(server)
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

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
        for connection in self.server_state.connections:
            if isinstance(connection, GatewayProtocol):
                connection.transport.abort()  # late beyond all patience

    async def _wait_for_clients(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.server_state.connections and loop.time() < deadline:  # noqa: ASYNC110 - uvicorn keeps a plain set
            await asyncio.sleep(0.02)
