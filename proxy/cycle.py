"""One request of a client and its answer, on uvicorn's cycle: what breaks off never looks whole."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct

from uvicorn._types import ASGI3Application, ASGISendEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from proxy.errors import PenstockError
from proxy.headers import first

logger = logging.getLogger("penstock.server")


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
            if not self.disconnected:
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


class UnchunkedCycle(Cycle):
    """The same for an HTTP/1.0 client, which knows no chunks: a body without a length ends where its connection does
    (RFC 9112 section 6.3)."""

    _until_close = False

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start":
            self._until_close = not first(message["headers"], b"content-length")
            if self._until_close:
                self.chunked_encoding = False
        elif self._until_close and message["type"] == "http.response.body":
            self.expected_content_length = len(message["body"])
        await super().send(message)


def _reset(transport: asyncio.Transport) -> None:
    """Close with a reset: to a client that reads until the end, an orderly close would look like a whole answer."""
    peer = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
