"""One client connection: llhttp's parser with byte limits, deadlines and strict framing, for uvicorn's server."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

import httptools
from uvicorn import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from proxy.cycle import Cycle
from proxy.dates import http_date
from proxy.errors import HeadTooLarge, RequestLate, RequestRefused, TargetTooLong
from proxy.head import Head, empty_scope
from proxy.headers import check_request
from proxy.limits import Limits
from proxy.strand import Strand

READ_AHEAD = 65_536
"""Bytes of requests that wait for the answers before theirs, beyond which a connection is not read on."""


class GatewayProtocol:
    """One client connection. A request that is refused here reaches neither the application nor an upstream.

    It is a protocol of asyncio's in all but its bases, which say nothing that is not said here."""

    def __init__(
        self, limits: Limits, config: Config, server_state: ServerState, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.limits = limits
        self.loop = loop
        self.app = config.loaded_app
        self.parser = httptools.HttpRequestParser(self)
        self.connections = server_state.connections
        self.closing = False
        self._head = Head()
        self._head_bytes = 0
        self._begins_as_1_1 = False
        self._in_head = False
        self._in_body = False
        self._found: RequestRefused | None = None  # within the parser, which raises an error of its own for it
        self._refusal: RequestRefused | None = None
        self._deaf = False
        self._lingering = False
        self._newest: Cycle | None = None  # the request that is being read, or was read last
        self._running: Cycle | None = None  # the one that is being answered, or was answered last
        self._due: Cycle | None = None  # the one to be answered as soon as all that has come is read
        self._waiting: deque[Cycle] = deque()  # those read ahead of their turn, in order
        self._ahead = 0  # bytes read since one waits
        self._strand: Strand | None = None
        self._since = self.loop.time()

    @property
    def answering(self) -> bool:
        """Whether the application is at work on a request."""
        return self._strand is not None

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.connections.add(cast("Any", self))
        self.transport = transport
        self.flow = FlowControl(transport)
        self.server = get_local_addr(transport)
        self.client = get_remote_addr(transport)
        self.scheme = "https" if is_ssl(transport) else "http"
        self._scope = empty_scope(self.server, self.client, self.scheme)

    def eof_received(self) -> None:
        """The client sends no more; asyncio closes the connection, and `connection_lost` follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(cast("Any", self))
        self._waiting.clear()
        for cycle in (self._running, self._newest):
            if cycle is not None:
                cycle.disconnect()
        self.flow.resume_writing()
        self.parser = None  # breaks the circle that would keep both alive until the next collection
        if self._strand is not None:
            self._strand.cancel()

    def resume_writing(self) -> None:
        self.flow.resume_writing()

    def pause_writing(self) -> None:
        self.flow.pause_writing()
        self._since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return  # whatever follows the last request of a connection belongs to no request
        self._head_bytes += len(data)
        self._begins_as_1_1 = not (self._in_head or self._in_body) and _begins_as_1_1(data)
        refusal = self._refused(data)
        if refusal is not None:
            self._refuse(refusal)
        if self._waiting:
            self._ahead += len(data)
            if self._ahead > READ_AHEAD:
                self.flow.pause_reading()
        if self._due is not None:
            self._start()
        elif self._running is not None:
            self._running.wake()  # the end of its body may have come with the head of the next request

    def _refused(self, data: bytes) -> RequestRefused | None:
        """Parse what came; why it is refused, None where it is not."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._end_with_newest()
        except httptools.HttpParserError:
            return self._found or RequestRefused("malformed request")
        if self._head_bytes > self.limits.head_bytes and (self._in_head or self._in_body):
            return HeadTooLarge(f"more than {self.limits.head_bytes} bytes of header or trailer")
        return None

    # the parser's callbacks

    def on_message_begin(self) -> None:
        self._head = Head()
        self._in_head = True
        self._since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer was not checked, and must not join the application's fields
            self._head.add(name, value)

    def on_url(self, url: bytes) -> None:
        self._head.url += url
        if len(self._head.url) > self.limits.target_bytes:
            self._found = TargetTooLong(f"more than {self.limits.target_bytes} bytes of request target")
            raise self._found

    def on_headers_complete(self) -> None:
        try:
            self._begin()
        except RequestRefused as refusal:
            self._found = refusal
            raise

    def _begin(self) -> None:
        """Take the request whose head is there. Raises RequestRefused."""
        self._in_head = False
        self._since = self.loop.time()
        head = self._head
        if len(head.url) + head.size > self.limits.head_bytes:
            raise HeadTooLarge(f"more than {self.limits.head_bytes} bytes of header")
        version = "1.1" if self._begins_as_1_1 else self.parser.get_http_version()  # which writes it anew each time
        self._begins_as_1_1 = False
        check_request(head.fields, version)
        if self.parser.should_upgrade() and not head.bodiless:
            raise RequestRefused("a body behind an upgrade is not supported: send the request without Upgrade")
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
        scope = head.scope_in(self._scope, version, self.parser.get_method())
        expects_100 = head.expects_100 and version == "1.1"  # HTTP/1.0 knows no interim answers
        self._take(Cycle(scope, self, keep_alive, expects_100))
        self._in_body = True

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

    def _take(self, cycle: Cycle) -> None:
        """Answer the request now, or when the answers before it are out."""
        self._newest = cycle
        if self._running is None or self._running.response_complete:
            self._running = self._due = cycle
        else:
            self._waiting.append(cycle)

    def _start(self) -> None:
        cycle, self._due = self._due, None
        if cycle is not None and not cycle.response_complete and not cycle.disconnected:
            self._strand = Strand(cycle.run(self.app), self._ended)
            self._strand.go_on()

    def _ended(self, strand: Strand) -> None:
        if self._strand is strand:
            self._strand = None

    def on_response_complete(self) -> None:
        """The running request has its answer: on to the next, or wait for one."""
        if self.transport.is_closing():
            return
        self._since = self.loop.time()
        if self._waiting:
            self._running = self._due = self._waiting.popleft()
            self.loop.call_soon(self._start)  # not from here: each answer would stand on the stack of the last one
        elif self._refusal is not None:
            self._answer_refusal(self._refusal)
            return
        self.resume_reading()

    def resume_reading(self) -> None:
        """Read on, unless too much waits that was read ahead: each answer would let in more than it takes out."""
        if not self._waiting:
            self._ahead = 0
        if self.flow.read_paused and self._ahead <= READ_AHEAD:
            self.flow.resume_reading()
            if self._in_head:
                self._since = self.loop.time()  # until now the client could not have sent the rest of it

    def shutdown(self) -> None:
        """The server stops: close, or close behind the answer that is under way."""
        if self._running is None or self._running.response_complete:
            self.part()
        else:
            self._running.keep_alive = False

    def part(self) -> None:
        """Close, when all is written. Over TLS that waits for the client's goodbye as well, which one that does not
        read never says: it has `linger_seconds` for it."""
        self.transport.close()
        if self.scheme == "https":
            self.loop.call_later(self.limits.linger_seconds, self._insist)

    def _insist(self) -> None:
        if self.transport.get_write_buffer_size():
            self.loop.call_later(self.limits.linger_seconds, self._insist)
        else:
            self.transport.abort()

    # refusing, and giving up

    def _end_with_newest(self) -> None:
        """Make the newest request the connection's last. The parser goes no further than one that asks for another
        protocol; it is answered in ours (RFC 9110 section 7.8)."""
        self._deaf = True
        assert self._newest is not None
        self._newest.keep_alive = False
        if self._newest.response_complete:
            self.part()

    def _refuse(self, refusal: RequestRefused) -> None:
        """Answer a request that goes nowhere, after the answers that the connection still owes, and close."""
        self._refusal = refusal
        self._deaf = True
        if self._in_body and self._waiting:
            self._waiting.pop()  # it waited behind others, and its application has not seen it
        elif self._in_body and self._newest is not None and not self._newest.take_over():
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
        fields = b"content-type: text/plain\r\ncontent-length: %d\r\ndate: %b\r\n" % (len(text), http_date())
        self.transport.write(STATUS_LINE[refusal.status] + fields + b"connection: close\r\n\r\n" + text)
        if not self.transport.can_write_eof():  # over TLS: the closing alert, and then what the client still sends
            self.part()
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
        if self._lingering or self._running is None or (self._in_head and not self.flow.read_paused):
            return limits.head_seconds
        if self._in_body and self._running is self._newest:
            return limits.body_seconds
        if self.flow.write_paused:
            return limits.body_seconds
        return limits.idle_seconds if self._running.response_complete else None


def _begins_as_1_1(data: bytes) -> bool:
    """Whether the first line is that of a request in HTTP/1.1."""
    end = data.find(b"\n")
    return end > 9 and data[end - 10 : end] == b" HTTP/1.1\r"


def protocol_with(limits: Limits) -> type[asyncio.Protocol]:
    """What `uvicorn.Config(http=...)` makes each connection's protocol with."""

    def protocol(
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> GatewayProtocol:
        return GatewayProtocol(limits, config, server_state, _loop or asyncio.get_running_loop())

    return cast("type[asyncio.Protocol]", protocol)
