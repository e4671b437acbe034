"""A request's body: what of it is held, and the rest of one that is too long, which goes on to its upstream as it
comes from the client."""

from __future__ import annotations

from time import monotonic
from typing import Protocol

from uvicorn._types import ASGIReceiveCallable

from proxy.errors import BodyTooLarge, ClientGone, PenstockError
from proxy.headers import AnyFields, first


async def read_body(receive: ASGIReceiveCallable, fields: AnyFields, buffer: int, limit: int) -> tuple[bytes, bool]:
    """The client's body as far as it is held, and whether there is more: the whole, but for one of over `buffer` bytes.

    Raises BodyTooLarge over `limit` bytes, ClientGone where it breaks off."""
    declared = first(fields, b"content-length")
    if declared and int(declared) > limit:
        raise BodyTooLarge(f"the request's body is over {limit} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone("the client left before its request was whole")
        size += len(message["body"])
        if size > limit:
            raise BodyTooLarge(f"the request's body is over {limit} bytes")
        parts.append(message["body"])
        more = message["more_body"]
        if not more or size > buffer:
            return parts[0] if len(parts) == 1 else b"".join(parts), more


class Sink(Protocol):
    """The connection that an upload goes out on."""

    deadline: float

    async def write(self, data: bytes) -> None:
        """Returns when there is room for more."""
        ...

    def abort(self) -> None: ...


class Upload:
    """What is still to come of one body. It can be sent once: what was passed on is not kept, and `begun` tells whether
    anything was.

    `sent` bytes of the body went before; over `limit` in all, the exchange is given up. `timeout`, in seconds, is what
    the upstream has for each piece, and for its answer behind the last. While the client is waited for, the client's
    own deadline holds. `refusal` says why it did not become whole where that is the client's doing."""

    def __init__(self, receive: ASGIReceiveCallable, chunked: bool, sent: int, limit: int, timeout: float) -> None:
        self.chunked = chunked
        self.begun = False
        self.whole = False
        self.refusal: PenstockError | None = None
        self._receive = receive
        self._sent = sent
        self._limit = limit
        self._timeout = timeout

    async def run(self, sink: Sink) -> None:
        """Pass on what comes, to the end, behind what was sent of it already."""
        self.begun = True
        while not self.whole:
            sink.deadline = float("inf")
            piece = await self._next()
            if piece is None:
                sink.abort()
                return
            sink.deadline = monotonic() + self._timeout
            await sink.write(self.framed(piece))

    async def _next(self) -> bytes | None:
        """None where none will be passed on any more, for what `refusal` says."""
        message = await self._receive()
        if message["type"] != "http.request":
            self.refusal = ClientGone("the client left before its request was whole")
            return None
        self._sent += len(message["body"])
        if self._sent > self._limit:
            self.refusal = BodyTooLarge(f"the request's body is over {self._limit} bytes")
            return None
        self.whole = not message["more_body"]
        return message["body"]

    def framed(self, piece: bytes) -> bytes:
        """A piece of the body in its coding (RFC 9112 section 7.1)."""
        if not self.chunked:
            return piece
        chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        return chunk + b"0\r\n\r\n" if self.whole else chunk
