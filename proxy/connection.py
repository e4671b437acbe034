"""One HTTP/1.1 connection to an upstream.

Framing is llhttp's (RFC 9112 section 6). A connection goes back to its pool only after a response that ended exactly
where its framing says, with nothing behind it.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Protocol, cast

import httptools

from proxy.errors import UpstreamClosed, UpstreamFailed, UpstreamMalformed, UpstreamTimeout
from proxy.framing import FRAMING, ends_with_close, idle_seconds, size, stays_open
from proxy.response import Response
from proxy.strand import Signal, Strand
from proxy.upload import Upload

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 256
MAX_INTERIM = 16


class Owner(Protocol):
    """Who keeps count of a connection: the pool that it belongs to."""

    loop: asyncio.AbstractEventLoop
    idle_expiry: float
    """Seconds that a connection may idle where its server does not say how long it keeps it."""

    def answered(self, status: int) -> None: ...

    def broke_off(self, status: int) -> None: ...

    def lost(self, connection: Connection) -> None: ...

    def release(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """One connection of a pool, with at most one exchange on it at a time."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.loop = owner.loop
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self.deadline = 0.0
        self._upload: Upload | None = None
        self._uploading: Strand | None = None
        self._writable: Signal | None = None
        self._head_bytes = 0
        self._begins_as_1_1 = False
        self._interim = 0
        self._in_interim = False
        self._ends_with_close = False
        self._ended_in_order = False
        self._reusable = False
        self._paused_at: float | None = None
        self._given_up = False
        self.idle_until = 0.0
        self.idle_seconds = -1.0  # not known before the first answer: each says the same

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def send(self, head: bytes, body: bytes, deadline: float, without_body: bool) -> Response:
        """Write one request; `deadline` is in time.monotonic's seconds and covers the whole exchange."""
        assert self._transport is not None
        response = Response(self.loop, self, without_body)
        self._response = response
        self._head_bytes = self._interim = 0
        self.deadline = deadline
        self._transport.write(head + body if len(body) < 65_536 else head)
        if len(body) >= 65_536:
            self._transport.write(body)
        return response

    def upload(self, rest: Upload) -> None:
        """Send the rest of the request's body as it comes, beside the answer."""
        self._upload = rest
        self._uploading = Strand(rest.run(self), lambda _: None)
        self._uploading.go_on()

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
        if self._writable is not None:
            await self._writable

    def resume_reading(self) -> None:
        """Go on; the upstream has the time that it was kept from answering once more."""
        if self._paused_at is None:
            return
        held, self._paused_at = monotonic() - self._paused_at, None
        self.deadline += held
        if self._response is not None:
            self._response.held += held
            self._response.held_since = 0.0
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once, failing the exchange that is on it."""
        self._end(UpstreamClosed("given up"))

    def expire(self, now: float) -> None:
        """Fail the exchange whose deadline has passed; its pool looks every few milliseconds, which costs less than a
        timer for each exchange. While the reader is waited for, its client's own deadline holds."""
        if self._response is not None and now >= self.deadline and self._paused_at is None:
            self._fail(UpstreamTimeout("the deadline passed"))

    def _fail(self, failure: UpstreamFailed) -> None:
        """End by the upstream's fault."""
        if self._response is not None and self._response.status:
            self._owner.broke_off(self._response.status)
        self._end(failure)

    def _end(self, failure: UpstreamFailed | None) -> None:
        response, self._response = self._response, None
        self._given_up = True
        if self._transport is not None:
            self._transport.abort()
        self._owner.lost(self)
        if self._uploading is not None:
            self._uploading.cancel()
        if response is not None and failure is not None:
            response.fail(failure)

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._given_up:  # uvloop's create_connection opens it all the same where it is cancelled in its last moment
            self._transport.abort()

    def pause_writing(self) -> None:
        self._writable = Signal(self.loop)

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None:
            writable.fire()

    def eof_received(self) -> None:
        """The upstream has said that nothing more comes, over TLS by its closing alert: a connection that ends without
        it may have been cut by anybody (RFC 9112 section 9.8)."""
        self._ended_in_order = True

    def connection_lost(self, exc: Exception | None) -> None:
        response = self._response
        whole = exc is None and self._ended_in_order and self._ends_with_close
        if response is not None and whole and response.status:
            self._completed(response)
            response.wake()
        self._fail(UpstreamClosed(str(exc) if exc else "closed before the answer was complete"))
        self._transport = None

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:  # nobody asked: bytes behind a response would be taken for the next one's
            self._end(None)
            return
        response.touched = True
        if not response.status:
            if not self._head_bytes:
                self._begins_as_1_1 = data.startswith(b"HTTP/1.1 ")
            self._head_bytes += len(data)
        malformed = self._malformed(data)
        if malformed:
            self._fail(UpstreamMalformed(malformed))
            response.wake()
            return
        if not response.status:
            if self._head_bytes > MAX_HEAD_BYTES:
                self._end(UpstreamMalformed(f"more than {MAX_HEAD_BYTES} bytes of header"))
            return
        if response.complete:
            self._release(response)
        response.wake()

    def _malformed(self, data: bytes) -> str:
        """Parse what came; what is wrong with it, "" for nothing."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            return str(error.__context__ or error)
        return ""

    # the parser's callbacks

    def on_message_begin(self) -> None:
        if self._response is None or self._response.complete:
            raise UpstreamMalformed("bytes behind the response")
        self._in_interim = False

    def on_header(self, name: bytes, value: bytes) -> None:
        response = self._response
        if response is None or response.status:
            return  # a trailer field: it ends at this hop
        response.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        response = self._response
        assert response is not None
        status = self._parser.get_status_code()
        if len(response.fields) > MAX_HEADERS:
            raise UpstreamMalformed(f"more than {MAX_HEADERS} header fields")
        if self._head_bytes > MAX_HEAD_BYTES and size(response.fields) > MAX_HEAD_BYTES:  # it may have body in it
            raise UpstreamMalformed(f"more than {MAX_HEAD_BYTES} bytes of header")
        version = self._version()
        if version not in ("1.1", "1.0") or not 100 <= status <= 599 or status == 101:
            raise UpstreamMalformed(f"HTTP/{version} status {status}")
        if status < 200:
            self._take_interim(response)
            return
        if self.idle_seconds < 0:
            self.idle_seconds = idle_seconds(response.fields, self._owner.idle_expiry)
        self._ends_with_close = ends_with_close(status, response.fields)
        self._reusable = self._parser.should_keep_alive()  # asked now: the parser forgets it with the message's end
        response.status = status
        if response.without_body:
            response.complete = True
            self._reusable = stays_open(version, response.fields)

    def _version(self) -> str:
        """The parser writes it anew each time that it is asked, so it is not asked about what everybody can see."""
        if self._begins_as_1_1 and not self._interim:
            return "1.1"
        return str(self._parser.get_http_version())

    def on_body(self, body: bytes) -> None:
        response = self._response
        if response is None or response.without_body:
            self._reusable = False  # a body that is none of the answer's
        elif not response.add(body) and self._paused_at is None:
            assert self._transport is not None
            self._transport.pause_reading()
            self._paused_at = response.held_since = monotonic()

    def on_message_complete(self) -> None:
        if self._response is not None and not self._in_interim:
            self._response.complete = True

    def _take_interim(self, response: Response) -> None:
        """Pass over a 1xx; one with a body is unlawful (RFC 9110 section 6.4.1)."""
        if any(name in FRAMING for name, _ in response.fields):
            raise UpstreamMalformed("an interim response with a body")
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise UpstreamMalformed(f"more than {MAX_INTERIM} interim responses")
        self._in_interim = True
        response.fields.clear()

    def _release(self, response: Response) -> None:
        self._completed(response)
        if self._reusable and (self._upload is None or self._upload.whole):
            self._upload = self._uploading = None
            if response.without_body:
                self._parser = httptools.HttpResponseParser(self)  # the old one waits for a body that never comes
            self.resume_reading()
            self._owner.release(self)
        else:
            self._end(None)

    def _completed(self, response: Response) -> None:
        response.complete = True
        response.ended = monotonic()
        self._response = None
        self._owner.answered(response.status)
