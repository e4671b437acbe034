"""A candidate with something wrong, as a process: `python -m loadtests.bench.faults slow|hanging|resetting PORT FILE`.

Every connection is kept and every request is read whole before the fault shows. `GET /-/live` tells that it is up.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from pathlib import Path
from typing import cast

import httptools
import uvloop

from loadtests.bench.processes import HOST
from loadtests.bench.upstreams import SLOW_SECONDS

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Fault(asyncio.Protocol):
    """One connection to the candidate."""

    def __init__(self, kind: str, answer: bytes) -> None:
        self.kind = kind
        self.answer = _HEAD % len(answer) + answer
        self.parser = httptools.HttpRequestParser(self)
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self.parser.get_method() == b"GET":
            self.transport.write(_HEAD % 4 + b"live")
        elif self.kind == "slow":
            self.loop.call_later(SLOW_SECONDS, self.transport.write, self.answer)
        elif self.kind == "resetting":
            linger_not = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
            self.transport.abort()


async def serve(kind: str, port: int, answer: bytes) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Fault(kind, answer), HOST, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_bytes()))
