"""Real upstreams for the tests, tame and wild. Each listens on loopback at a port that the kernel found, is bounded in
time, and is gone when its `with` ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec
import uvicorn
import uvloop
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from proxy.snapshot import Origin
from tests.wire import PATIENCE

ROOT = Path(__file__).parent.parent
T = TypeVar("T")
START_PATIENCE = 150.0
"""Seconds for a process that first imports much: on a busy machine that is a minute."""


def eventually(condition: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Wait until `condition` is true, and return what it gave; fails after a bound that only a hang reaches."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("what was waited for never came")
        time.sleep(0.01)
    return found


def bound_socket(port: int = 0) -> socket.socket:
    """A port of loopback, found or shared: as long as one of its sockets is open, nobody else is given it."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def listening_socket(port: int = 0) -> socket.socket:
    listener = bound_socket(port)
    listener.listen(1024)
    return listener


def origin_of(listener: socket.socket) -> Origin:
    return Origin("127.0.0.1", listener.getsockname()[1])


@contextlib.contextmanager
def refusing() -> Iterator[Origin]:
    """An origin that refuses: its port is taken, and nobody listens on it."""
    with bound_socket() as taken:
        yield origin_of(taken)


class Background:
    """One event loop in a thread, for every server of the tests that lives in this process."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test servers")
        self._thread.start()

    def run(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def call(self, work: Callable[[], T]) -> T:
        async def called() -> T:
            return work()

        return self.run(called())

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()


class Hosted:
    """A uvicorn server on the background loop; stopped and started again, it keeps its port."""

    def __init__(self, background: Background, make: Callable[[], uvicorn.Server]) -> None:
        self._background = background
        self._make = make
        self._place = bound_socket()
        self.origin = origin_of(self._place)
        self.start()

    @property
    def port(self) -> int:
        return self.origin.port

    def start(self) -> None:
        self.server = self._make()
        serving = self.server.serve(sockets=[listening_socket(self.port)])
        self._serving = asyncio.run_coroutine_threadsafe(serving, self._background.loop)
        eventually(lambda: self.server.started)

    def ended(self) -> bool:
        return self._serving.done()

    def stop(self) -> None:
        """Close at once: what is open is aborted."""
        self.server.should_exit = self.server.force_exit = True
        self._background.run(self._abort_all())
        self._serving.result(PATIENCE)

    async def _abort_all(self) -> None:
        state = self.server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self.ended():
            self.stop()
        self._place.close()


@dataclass(frozen=True)
class Seen:
    """A request as an upstream saw it."""

    method: str
    target: bytes
    fields: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    @property
    def is_copy(self) -> bool:
        return bool(self.all("x-penstock-shadow"))


Handler = Callable[[Seen, ASGISendCallable], Awaitable[None]]
JSON = ("content-type", "application/json")


async def reply(
    send: ASGISendCallable, body: bytes, status: int = 200, fields: Sequence[tuple[str, str]] = (JSON,)
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in fields]
    raw.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": raw, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def predicting(*predictions: object, status: int = 200) -> Handler:
    """A handler that answers every request as MLflow does."""
    body = msgspec.json.encode({"predictions": predictions})

    async def handle(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, body, status)

    return handle


class AppServer(Hosted):
    """A plain uvicorn, as most model servers are, around the ASGI application that a subclass is."""

    def __init__(self, background: Background, tls: ssl.SSLContext | None = None) -> None:
        config = partial(uvicorn.Config, self, log_config=None, access_log=False, lifespan="off", ws="none")
        if tls is not None:
            config = partial(config, ssl_context_factory=lambda config, default: tls)
        super().__init__(background, lambda: uvicorn.Server(config(date_header=False, server_header=False)))

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        raise NotImplementedError


class ModelServer(AppServer):
    """An upstream that keeps what it saw. `handler` may be changed at any time."""

    def __init__(
        self, background: Background, handler: Handler | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.handler = handler or predicting(1.0)
        self.seen: list[Seen] = []
        super().__init__(background, tls)

    def served(self) -> list[Seen]:
        return [seen for seen in self.seen if not seen.is_copy]

    def copies(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.is_copy]

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        body = await read_body(receive)
        if body is None:
            return
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        seen = Seen(scope["method"], scope["raw_path"] + query, fields, body)
        self.seen.append(seen)
        await self.handler(seen, send)


async def read_body(receive: ASGIReceiveCallable) -> bytes | None:
    """A request's whole body, None where the client leaves before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


@dataclass(frozen=True)
class Step:
    name: str


READ = Step("read one whole request")
RESET = Step("reset the connection")
HANG = Step("wait until the client goes")
Script = Sequence["bytes | float | Step"]


class Scripted(AbstractContextManager["Scripted"]):
    """A TCP server that plays a script to each connection: bytes are sent, numbers are seconds to sleep, and at the end
    the connection is closed. The n-th connection gets the n-th script, and all later ones the last."""

    def __init__(self, background: Background, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._background = background
        self._tls = tls
        self._scripts = scripts
        self._playing: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.steps = 0
        self.requests: list[bytes] = []
        listener = listening_socket()
        self.origin = origin_of(listener)
        self._server = background.run(self._start(listener))

    async def _start(self, listener: socket.socket) -> asyncio.Server:
        return await asyncio.start_server(self._accept, sock=listener, limit=64 * 1024 * 1024, ssl=self._tls)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._playing.add(task)
        try:
            await self.play(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._playing.discard(task)
            writer.close()

    async def play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """All that one connection gets; a subclass may choose by what it asks for."""
        for step in self._scripts[min(self.connections, len(self._scripts)) - 1]:
            await self.take(step, reader, writer)
            self.steps += 1

    async def take(
        self, step: bytes | float | Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif step is READ:
            self.requests.append(await read_request(reader))
        elif step is HANG:
            while await reader.read(65_536):
                pass
        elif step is RESET:
            peer = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            assert isinstance(step, float)
            await asyncio.sleep(step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._background.run(self._stop())

    async def _stop(self) -> None:
        self._server.close()
        playing = list(self._playing)
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The bytes of the connection's next request, head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


def whole(body: bytes, status: int = 200, *fields: str) -> bytes:
    """The bytes of one answer with a content-length."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
