"""One client connection: uvicorn's httptools protocol with byte limits, deadlines and strict framing."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGIVersions, HTTPScope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from proxy.cycle import Cycle
from proxy.errors import RequestRefused
from proxy.headers import AnyFields, check_request, first

# A target that every parser reads in the same way: one leading slash, visible characters, whole percent escapes, no
# NUL.
_SANE_TARGET = re.compile(rb"/(?!/)(?:[!\"$&-~]|%(?!00)[0-9A-Fa-f]{2})*").fullmatch
_DOT_SEGMENT = re.compile(rb"/(?:\.|%2[eE]){1,2}(?:/|$|\?|%2[fF])").search

_ASGI: ASGIVersions = {"version": "3.0", "spec_version": "2.3"}


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
        self.closing = False
        self._head_bytes = 0
        self._in_head = False
        self._in_body = False
        self._refusal: RequestRefused | None = None
        self._deaf = False
        self._lingering = False
        self._newest: Cycle | None = None  # the request that is being read, or was read last
        self._running: Cycle | None = None  # the one that is being answered, or was answered last
        self._waiting: deque[Cycle] = deque()  # those read ahead of their turn, in order
        self._task: asyncio.Task[None] | None = None
        self._since = self.loop.time()

    # asyncio's callbacks

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self._waiting.clear()
        for cycle in (self._running, self._newest):
            if cycle is not None:
                cycle.disconnect()
        self.flow.resume_writing()
        self.parser = None  # breaks the circle that would keep both alive until the next collection
        if self._task is not None and self._running is not None and self._running.disconnected:
            self._task.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return  # whatever follows the last request of a connection belongs to no request
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self._head_bytes > self.limits.head_bytes and (self._in_head or self._in_body):
                raise HeadTooLarge(f"more than {self.limits.head_bytes} bytes of header or trailer")
        except httptools.HttpParserUpgrade:
            self._end_with_newest()
        except RequestRefused as refusal:
            self._refuse(refusal)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, RequestRefused) else RequestRefused("malformed request"))

    # the parser's callbacks

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._in_head = True
        self._since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.limits.target_bytes:
            raise TargetTooLong(f"more than {self.limits.target_bytes} bytes of request target")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._since = self.loop.time()
        if self._head_bytes > self.limits.head_bytes and self._size_of_head() > self.limits.head_bytes:
            raise HeadTooLarge(f"more than {self.limits.head_bytes} bytes of header")
        version = self.parser.get_http_version()
        check_request(self.headers, version)
        if self.parser.should_upgrade() and not _bodiless(self.headers):
            raise RequestRefused("a body behind an upgrade is not supported: send the request without Upgrade")
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
        self._take(Cycle(self._scope_of(version), self, keep_alive, self.expect_100_continue))
        self._in_body = True
        self.headers = []  # what follows is a trailer: it was not checked, and must not join the application's fields

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0  # whatever comes from here on, and is no body, is a trailer
        cycle = self._newest
        if cycle is None or cycle.response_complete:
            return
        cycle.add_body(body)
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        if self._newest is not None and not self._newest.response_complete:
            self._newest.end_body()
        self._in_body = False
        self._head_bytes = 0

    def _scope_of(self, version: str) -> HTTPScope:
        """The application's view of the request; the target stands in `state`, byte for byte as the client sent it.

        Raises RequestRefused for a target that is not safe to forward."""
        target = self.url
        raw_path, _, query = target.partition(b"?")
        if not _SANE_TARGET(target) or _DOT_SEGMENT(raw_path):
            raise RequestRefused("a request target that is not safe to forward")
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": self.parser.get_method().decode("ascii"),
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
            "state": {"target": target},
        }

    def _take(self, cycle: Cycle) -> None:
        """Answer the request now, or when the answers before it are out."""
        self._newest = cycle
        if self._running is None or self._running.response_complete:
            self._run(cycle)
        else:
            self.flow.pause_reading()
            self._waiting.append(cycle)

    def _run(self, cycle: Cycle) -> None:
        self._running = cycle
        self._task = task = self.loop.create_task(cycle.run(self.app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_response_complete(self) -> None:
        """The running request has its answer: on to the next, or wait for one."""
        if self.transport.is_closing():
            return
        self._since = self.loop.time()
        self.flow.resume_reading()
        if self._waiting:
            self._run(self._waiting.popleft())
        elif self._refusal is not None:
            self._answer_refusal(self._refusal)

    def shutdown(self) -> None:
        """The server stops: close, or close behind the answer that is under way."""
        if self._running is None or self._running.response_complete:
            self.transport.close()
        else:
            self._running.keep_alive = False

    # refusing, and giving up

    def _end_with_newest(self) -> None:
        """Make the newest request the connection's last. The parser goes no further than one that asks for another
        protocol; it is answered in ours (RFC 9110 section 7.8)."""
        self._deaf = True
        assert self._newest is not None
        self._newest.keep_alive = False
        if self._newest.response_complete:
            self.transport.close()

    def _refuse(self, refusal: RequestRefused) -> None:
        """Answer a request that goes nowhere, after the answers that the connection still owes, and close."""
        self._refusal = refusal
        self._deaf = True
        if self._in_body and self._waiting:
            self._waiting.pop()  # it waited behind others, and its application has not seen it
        elif self._in_body and self._newest is not None and not _take_over(self._newest):
            self.transport.abort()
        self._in_head = self._in_body = False
        if self._running is None or self._running.response_complete:
            self._answer_refusal(refusal)

    def _answer_refusal(self, refusal: RequestRefused) -> None:
        """The answer, and our end of the connection: a full close would reset it under what the client still sends,
        and the answer with it (RFC 9112 section 9.6)."""
        if self.transport.is_closing():
            return
        text = f"{refusal.code}: {refusal}\n".encode()
        head = STATUS_LINE[refusal.status] + b"content-type: text/plain\r\ncontent-length: %d\r\n" % len(text)
        self.transport.write(head + b"connection: close\r\n\r\n" + text)
        if not self.transport.can_write_eof():  # over TLS: the closing alert, and then what the client still sends
            self.transport.close()
            return
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
        if self._in_body and self._running is self._newest:
            return limits.body_seconds
        if self.flow.write_paused:
            return limits.body_seconds
        return limits.idle_seconds if self._running.response_complete else None


def _take_over(cycle: Cycle) -> bool:
    """Take the answer from an application that still waits for the body; False where it has begun to answer."""
    if cycle.response_started:
        return False
    cycle.disconnected = cycle.response_complete = True
    cycle.wake()
    return True


def protocol_with(limits: Limits) -> type[GatewayProtocol]:
    """The protocol class for `uvicorn.Config(http=...)`: uvicorn makes an instance a connection, so limits go by
    class."""
    return type("LimitedGatewayProtocol", (GatewayProtocol,), {"limits": limits})
