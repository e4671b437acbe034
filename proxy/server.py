"""The client's side: uvicorn's httptools protocol with byte limits, deadlines, strict framing and a drain that loses
nothing."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass
from types import FrameType
from typing import Any, ClassVar, Protocol

import httptools
import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from proxy.cycle import Cycle, UnchunkedCycle
from proxy.errors import RequestRefused
from proxy.headers import AnyFields, check_request, first

# A target that every parser reads in the same way: one leading slash, visible characters, whole percent escapes, no
# NUL.
_SANE_TARGET = re.compile(rb"/(?!/)(?:[!\"$&-~]|%(?!00)[0-9A-Fa-f]{2})*").fullmatch
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


class RequestLate(RequestRefused):
    status = 408
    code = "request_late"


def _bodiless(fields: AnyFields) -> bool:
    return first(fields, b"content-length") in (b"", b"0") and not first(fields, b"transfer-encoding")


class GatewayProtocol(HttpToolsProtocol):
    """One client connection. A request that is refused here reaches neither the application nor an upstream."""

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = False
        self._in_body = False
        self._refusal: RequestRefused | None = None
        self._deaf = False
        self._lingering = False
        self._running: RequestResponseCycle | None = None
        self._task: asyncio.Task[None] | None = None
        self._since = self.loop.time()

    # asyncio's callbacks

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.pipeline.clear()
        if self._task is not None and self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._task.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return  # whatever follows the last request of a connection belongs to no request
        if self._in_head or not self._in_body:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self._in_head and self._head_bytes > self.limits.head_bytes:
                raise HeadTooLarge(f"more than {self.limits.head_bytes} bytes of header")
        except httptools.HttpParserUpgrade:
            self._end_with(self.cycle)
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
        self._since = self.loop.time()
        if self._head_bytes > self.limits.head_bytes and self._size_of_head() > self.limits.head_bytes:
            raise HeadTooLarge(f"more than {self.limits.head_bytes} bytes of header")
        if not _SANE_TARGET(self.url) or _DOT_SEGMENT(self.url.partition(b"?")[0]):
            raise RequestRefused("a request target that is not safe to forward")
        check_request(self.headers, self.parser.get_http_version())
        if self.parser.should_upgrade() and not _bodiless(self.headers):
            raise RequestRefused("a body behind an upgrade is not supported: send the request without Upgrade")
        self.scope["state"]["target"] = self.url
        super().on_headers_complete()
        self._in_body = True
        self.headers = []  # what follows is a trailer: it was not checked, and must not join the application's fields

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body = False
        self._head_bytes = 0

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    # uvicorn's hooks

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.__class__ = Cycle if cycle.scope["http_version"] == "1.1" else UnchunkedCycle
        self._running = cycle
        self._task = task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        """uvicorn's own, without its keep-alive timer: `give_up_if_late` knows idle connections, too."""
        if self.transport.is_closing():
            return
        self._since = self.loop.time()
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._refusal is not None:
            self._answer_refusal(self._refusal)

    # refusing, and giving up

    def _end_with(self, cycle: RequestResponseCycle) -> None:
        """Make a request the connection's last. The parser goes no further than one that asks for another protocol; it
        is answered in ours (RFC 9110 section 7.8)."""
        self._deaf = True
        cycle.keep_alive = False
        if cycle.response_complete:
            self.transport.close()

    def _refuse(self, refusal: RequestRefused) -> None:
        """Answer a request that goes nowhere, after the answers that the connection still owes, and close."""
        self._refusal = refusal
        self._deaf = True
        if self._in_body and self.pipeline:
            self.pipeline.popleft()  # it waited behind others, and its application has not seen it
            assert self._running is not None
            self.cycle = self.pipeline[0][0] if self.pipeline else self._running
        elif self._in_body and not self._take_over(self.cycle):
            self.transport.abort()
        self._in_head = self._in_body = False
        if self._running is None or self._running.response_complete:
            self._answer_refusal(refusal)

    @staticmethod
    def _take_over(cycle: RequestResponseCycle) -> bool:
        """Take the answer from an application that still waits for the body; False where it has begun to answer."""
        if cycle.response_started:
            return False
        cycle.disconnected = cycle.response_complete = True
        cycle.message_event.set()
        return True

    def _answer_refusal(self, refusal: RequestRefused) -> None:
        """The answer, and our end of the connection: a full close would reset it under what the client still sends,
        and the answer with it (RFC 9112 section 9.6)."""
        if self.transport.is_closing():
            return
        text = f"{refusal.code}: {refusal}\n".encode()
        head = STATUS_LINE[refusal.status] + b"content-type: text/plain\r\ncontent-length: %d\r\n" % len(text)
        self.transport.write(head + b"connection: close\r\n\r\n" + text)
        self.transport.write_eof()
        self.flow.resume_reading()
        self._lingering = True
        self._since = self.loop.time()

    def give_up_if_late(self, now: float) -> None:
        """Refuse a request that is not whole by its deadline; close a connection that idles, or takes no answer."""
        allowed = self._allowed_seconds()
        if allowed is None or now - self._since <= allowed or self.transport.is_closing():
            return
        if self._in_head or self._in_body:
            self._refuse(RequestLate(f"the request was not whole within {allowed:g} s"))
        else:
            self.transport.abort()

    def _allowed_seconds(self) -> float | None:
        """How long the connection may stay as it is; None while an answer is under way."""
        limits = self.limits
        if self._in_head or self._lingering or self._running is None:
            return limits.head_seconds
        if self._in_body and self._running is self.cycle:
            return limits.body_seconds
        if self.flow.write_paused:
            return limits.body_seconds
        return limits.idle_seconds if self._running.response_complete else None


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
