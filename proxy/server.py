"""The client's side: uvicorn's httptools protocol with byte limits, deadlines, strict framing and a drain that loses
nothing."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import httptools
import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from proxy.errors import PenstockError, RequestRefused
from proxy.headers import check_request

logger = logging.getLogger("penstock.server")

# A target that every parser reads in the same way: one leading slash, visible characters, whole percent escapes, no
# NUL.
_SANE_TARGET = re.compile(rb"/(?!/)(?:[!$-~\"&']|%(?!00)[0-9A-Fa-f]{2})*").fullmatch
_DOT_SEGMENT = re.compile(rb"/(?:\.|%2[eE]){1,2}(?:/|$|\?|%2[fF])").search


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of the server. Times in seconds, sizes in bytes."""

    head_bytes: int = 32 * 1024
    target_bytes: int = 8 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 75.0
    drain_seconds: float = 30.0
    linger_seconds: float = 1.0


class HeadTooLarge(RequestRefused):
    status = 431
    code = "head_too_large"


class TargetTooLong(RequestRefused):
    status = 414
    code = "target_too_long"


class Cycle(RequestResponseCycle):
    """One request and its answer. An answer that breaks off aborts the connection, so that it can never look whole."""

    async def run_asgi(self, app: ASGI3Application) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._break_off()
            if not self.disconnected:
                raise
        except PenstockError as error:
            logger.warning("answer broken off: %s: %s", error.code, error)
            self._break_off()
        except Exception:
            logger.exception("the request's handler failed")
            if self.response_started:
                self._break_off()
            else:
                await self.send_500_response()
        finally:
            self.on_response = lambda: None

    def _break_off(self) -> None:
        if not self.response_complete and not self.transport.is_closing():
            _reset(self.transport)


def _reset(transport: asyncio.Transport) -> None:
    """Close with a reset: to a client that reads until the end, an orderly close would look like a whole answer."""
    peer = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class GatewayProtocol(HttpToolsProtocol):
    """One client connection. A request that is refused here reaches neither the application nor an upstream."""

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = False
        self._in_body = False
        self._refusal: RequestRefused | None = None
        self._task: asyncio.Task[None] | None = None
        self._since = self.loop.time()

    # asyncio's callbacks

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._task is not None and self.cycle is not None and not self._task.done():
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._refusal is not None:
            return  # whatever follows a refused request belongs to no request
        if self._in_head or not self._in_body:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self._in_head and self._head_bytes > self.limits.head_bytes:
                raise HeadTooLarge(f"more than {self.limits.head_bytes} bytes of header")
        except httptools.HttpParserUpgrade:
            self._refuse(RequestRefused("upgrade is not supported"))
        except RequestRefused as refusal:
            self._refuse(refusal)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, RequestRefused) else RequestRefused("malformed request"))

    # the parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self.limits.target_bytes:
            raise TargetTooLong(f"more than {self.limits.target_bytes} bytes of request target")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_body = True
        self._since = self.loop.time()
        if self._head_bytes > self.limits.head_bytes and self._size_of_head() > self.limits.head_bytes:
            raise HeadTooLarge(f"more than {self.limits.head_bytes} bytes of header")
        if not _SANE_TARGET(self.url) or _DOT_SEGMENT(self.url.partition(b"?")[0]):
            raise RequestRefused("a request target that is not safe to forward")
        check_request(self.headers, self.parser.get_http_version())
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body = False
        self._head_bytes = 0

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    # uvicorn's hooks

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.__class__ = Cycle
        self._task = task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._refusal is not None and not self.pipeline and self.cycle.response_complete:
            self._answer_refusal(self._refusal)

    # refusing, and giving up

    def _refuse(self, refusal: RequestRefused) -> None:
        """Answer a request that goes nowhere, after the answers that the connection still owes, and close."""
        self._refusal = refusal
        if self.cycle is None or self.cycle.response_complete:
            self._answer_refusal(refusal)

    def _answer_refusal(self, refusal: RequestRefused) -> None:
        if self.transport.is_closing():
            return
        text = f"{refusal.code}: {refusal}\n".encode()
        head = STATUS_LINE[refusal.status] + b"content-type: text/plain\r\ncontent-length: %d\r\n" % len(text)
        self.transport.write(head + b"connection: close\r\n\r\n" + text)
        self.transport.close()

    def give_up_if_late(self, now: float) -> None:
        """Close a connection whose request is not whole by its deadline; 408 where no answer has begun."""
        waited = now - self._since
        if self._in_head or self.cycle is None:
            late = waited > self.limits.head_seconds
        else:
            late = self._in_body and waited > self.limits.body_seconds
        if late and not self.transport.is_closing():
            self.transport.abort()


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
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_complete:
                cycle.keep_alive = False
        await self._wait_for_clients(self.limits.linger_seconds)
        await super().shutdown(sockets)

    async def _wait_for_clients(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.server_state.connections and loop.time() < deadline:  # noqa: ASYNC110 - uvicorn keeps a plain set
            await asyncio.sleep(0.02)


def protocol_with(limits: Limits) -> type[GatewayProtocol]:
    """The protocol class for `uvicorn.Config(http=...)`: uvicorn makes an instance a connection, so limits go by
    class."""
    return type("LimitedGatewayProtocol", (GatewayProtocol,), {"limits": limits})
