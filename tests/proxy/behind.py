"""The server alone, around an application that keeps what reaches it."""

from __future__ import annotations

import asyncio

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from proxy.errors import AnswerCut
from proxy.gateway import protocol_with
from proxy.limits import Limits
from proxy.local import Holder
from proxy.server import Server
from tests.servers import Background, Hosted, read_body, reply

PLAIN = ("content-type", "text/plain")


class Application:
    """What a request meets behind the server; it keeps what reached it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.fields: list[tuple[bytes, bytes]] = []
        self.bodies: list[bytes] = []
        self.cancelled = 0
        self.gate = asyncio.Event()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        self.seen.append((scope["method"], scope["state"]["target"]))
        if scope["path"] == "/early":
            await reply(send, b"early", 404)
            return
        body = await read_body(receive)
        if body is None:
            return
        self.bodies.append(body)
        self.fields = list(scope["headers"])
        await self._answer(scope, body, send)

    async def _answer(self, scope: HTTPScope, body: bytes, send: ASGISendCallable) -> None:
        if scope["path"] == "/wait":
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if scope["path"] == "/fail":
            raise KeyError("a bug")
        if scope["path"] == "/flood":
            await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": False})
            for _ in range(100):
                await send({"type": "http.response.body", "body": body, "more_body": True})
        if scope["path"] in ("/stream", "/cut", "/bug"):
            await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": False})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            if scope["path"] == "/cut":
                raise AnswerCut("the upstream broke off")
            if scope["path"] == "/bug":
                raise KeyError("a bug")
            await send({"type": "http.response.body", "body": b"two", "more_body": False})
        else:
            await reply(send, body or scope["path"].encode(), fields=[PLAIN])


class Behind(Hosted):
    """Our server around an Application."""

    def __init__(self, background: Background, limits: Limits) -> None:
        self.application = Application()
        self.readiness = Holder()
        config = uvicorn.Config(
            self.application,
            http=protocol_with(limits),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=60,
        )
        super().__init__(background, lambda: Server(config, limits, self.readiness))

    def open_gate(self) -> None:
        self._background.call(self.application.gate.set)

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    @property
    def answering(self) -> bool:
        """Whether the application is at work on any request."""
        return any(getattr(connection, "answering", False) for connection in self.server.server_state.connections)
