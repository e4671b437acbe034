"""One request of a client and its answer, in ASGI's terms, over the client's transport.

It takes the place of uvicorn's own cycle on the hot path: the fields of an answer were checked where they came in, so
they are not matched again one by one; head and first piece of the body leave in one write; what breaks off never
looks whole.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import Any, Protocol, cast

from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent, HTTPScope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from proxy.dates import http_date
from proxy.errors import PenstockError
from proxy.headers import Fields
from proxy.strand import Signal

logger = logging.getLogger("penstock.server")

COPY_BELOW = 65_536
"""Pieces of fewer bytes are joined and written at once; larger ones are worth a write of their own, but no copy."""


class ClientConnection(Protocol):
    """What a cycle needs of the connection that its request came on."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    flow: FlowControl
    closing: bool
    """Whether every answer from now on is to be its connection's last."""

    def on_response_complete(self) -> None: ...

    def resume_reading(self) -> None: ...

    def part(self) -> None: ...


class Cycle:
    """One request and its answer. `receive` and `send` are ASGI's; the connection feeds `body` and `more_body`."""

    def __init__(self, scope: HTTPScope, connection: ClientConnection, keep_alive: bool, expects_100: bool) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self._connection = connection
        self._transport = connection.transport
        self._expects_100 = expects_100
        self._waiter: Signal | None = None
        self._head = b""
        self._owed: int | None = None  # bytes of body still to come; None where the body has no length of its own
        self._bodiless = False
        self._chunked = False

    async def run(self, app: ASGI3Application) -> None:
        """Let the application answer; abort the connection where it does not come to an end."""
        try:
            await app(cast("Any", self.scope), self.receive, self.send)
        except asyncio.CancelledError:
            self._break_off()
            if not self.disconnected:
                raise
        except PenstockError as error:
            if not self.disconnected:
                named = {"request_id": error.request_id}
                logger.warning("answer broken off: %s: %s", error.code, error, extra=named)
                self._break_off()
        except Exception:
            logger.exception("the request's handler failed")
            if self.response_started:
                self._break_off()
            else:
                self._start(500, [(b"content-length", b"0")])
                self._add(b"", more=False)

    # what the connection tells; the application goes on at `wake`

    def add_body(self, data: bytes) -> None:
        self.body = self.body + data if self.body else data

    def end_body(self) -> None:
        self.more_body = False

    def disconnect(self) -> None:
        if not self.response_complete:
            self.disconnected = True
        self.wake()

    def take_over(self) -> bool:
        """Take the answer from an application that still waits for the body; False where it has begun to answer."""
        if self.response_started:
            return False
        self.disconnected = self.response_complete = True
        self.wake()
        return True

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.fire()

    # ASGI

    async def receive(self) -> ASGIReceiveEvent:
        if self._expects_100 and not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._expects_100 = False
        self._connection.resume_reading()  # a connection that is not read does not tell that its client has left
        while self.more_body and not self.body and not self.disconnected and not self.response_complete:
            self._waiter = Signal(self._connection.loop)
            await self._waiter
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: ASGISendEvent) -> None:
        flow = self._connection.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], cast("Fields", message["headers"]))
        elif message["type"] == "http.response.body":
            self._add(message["body"], message.get("more_body", False))

    def _start(self, status: int, fields: Fields) -> None:
        """The head waits for the first piece of the body, an empty one if need be."""
        self.response_started = True
        self._expects_100 = False
        lines = [STATUS_LINE[status]]
        dated = False
        for name, value in fields:
            if name == b"content-length":
                self._owed = int(value)
            elif name == b"date":
                dated = True
            lines.append(b"%b: %b\r\n" % (name, value))
        if not dated:  # a gateway with a clock adds what is missing (RFC 9110 section 6.6.1)
            lines.append(b"date: %b\r\n" % http_date())
        self._bodiless = status in (204, 304) or self.scope["method"] == "HEAD"
        if self._owed is None and not self._bodiless:
            if self.scope["http_version"] == "1.1":
                self._chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:  # HTTP/1.0 knows no chunks: the body ends where its connection does (RFC 9112 section 6.3)
                self.keep_alive = False
        if self._connection.closing:
            self.keep_alive = False
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        self._head = b"".join(lines)

    def _add(self, body: bytes, more: bool) -> None:
        head, self._head = self._head, b""
        if self._bodiless:
            body = b""
        elif self._owed is not None:
            self._owed -= len(body)
            if self._owed < 0 or (self._owed and not more):
                raise RuntimeError("the body is not as long as its content-length")
        if self._chunked:
            head, body, tail = _chunk(head, body, more)
        else:
            tail = b""
        if len(body) < COPY_BELOW:
            if data := head + body + tail:
                self._transport.write(data)
        else:
            self._transport.writelines((head, body, tail))
        if not more:
            self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        self.wake()
        if not self.keep_alive:
            self._connection.part()
        self._connection.on_response_complete()

    def _break_off(self) -> None:
        if not self.response_complete and not self._transport.is_closing():
            _reset(self._transport)


def _chunk(head: bytes, body: bytes, more: bool) -> tuple[bytes, bytes, bytes]:
    """A piece of a body in the chunked coding (RFC 9112 section 7.1), behind `head`."""
    if not body:
        return head, b"", b"" if more else b"0\r\n\r\n"
    return b"%b%x\r\n" % (head, len(body)), body, b"\r\n" if more else b"\r\n0\r\n\r\n"


def _reset(transport: asyncio.Transport) -> None:
    """Close with a reset: to a client that reads until the end, an orderly close would look like a whole answer."""
    peer = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
