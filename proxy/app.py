"""The worker's composition root: it builds the parts, runs them under uvicorn, and takes them down in order."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import monotonic

import uvicorn

from proxy import logs
from proxy.credential import Credential
from proxy.dataplane import DataPlane
from proxy.gateway import protocol_with
from proxy.headers import request_head
from proxy.limits import Limits
from proxy.link import MAX_SNAPSHOT, Link
from proxy.local import Holder
from proxy.mirror import Mirror
from proxy.peers import Peers
from proxy.probes import Probes
from proxy.server import Server
from proxy.settings import WorkerSettings, parse
from proxy.snapshot import Origin, Snapshot
from proxy.tls import TlsUnusable, server_context
from proxy.upstream import Upstreams
from proxy.windows import Windows

logger = logging.getLogger("penstock.worker")


@dataclass(slots=True)
class Worker:
    """All parts of one data-plane worker."""

    name: str
    holder: Holder
    upstreams: Upstreams
    windows: Windows
    mirror: Mirror
    link: Link
    dataplane: DataPlane
    probes: Probes
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def start(self) -> None:
        self.link.restore()
        self._spawn(self.link.pull())
        self._spawn(self.link.push())

    async def stop(self, seconds: float = 2.0) -> None:
        """Let the copies end, send the last windows, and close every connection."""
        await self.mirror.finish(seconds)
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # what a cancelled push held is to be sent once more
        await self.probes.stop()
        await self.link.push_round()
        self.upstreams.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A loop of ours that ends by itself is a bug: without it the worker would serve on, deaf. Better replaced."""
        self.tasks.discard(task)
        if not task.cancelled():
            logger.critical("a background task ended", exc_info=task.exception())
            os._exit(70)


def build(settings: WorkerSettings) -> Worker:
    """Put a worker together; it is started by `Worker.start`, inside its event loop."""
    nonce = os.urandom(4).hex()
    name = f"{socket.gethostname()}-{os.getpid()}-{nonce}"
    holder = Holder()
    upstreams = Upstreams()
    windows = Windows(name)
    mirror = Mirror(upstreams, windows)
    probes = Probes(upstreams)
    numbers = count(1)

    def new_id() -> bytes:
        return f"{nonce}-{next(numbers):x}".encode()

    dataplane = DataPlane(holder, upstreams, mirror, windows, new_id, Peers(settings.trusted_peers))

    credential = Credential(settings.token_file, os.environ)

    async def control(method: str, target: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        return await _exchange(upstreams, settings.control, method, target, credential.field(), body, timeout)

    def adopted(snapshot: Snapshot) -> None:
        upstreams.retain([settings.control, *_origins(snapshot)])
        probes.adopt(snapshot)

    link = Link(control, holder, windows, settings.cache, adopted)
    return Worker(name, holder, upstreams, windows, mirror, link, dataplane, probes)


async def _exchange(
    upstreams: Upstreams, origin: Origin, method: str, target: str, fields: bytes, body: bytes, timeout: float
) -> tuple[int, bytes]:
    deadline = monotonic() + timeout
    head = request_head(method, target.encode(), origin.authority, b"%bcontent-length: %d\r\n" % (fields, len(body)))
    response = await upstreams.pool("control", origin).exchange(head, body, deadline)
    return response.status, await response.read_all(MAX_SNAPSHOT) or b""


def _origins(snapshot: Snapshot) -> list[Origin]:
    targets = [target for route in snapshot.routes for target in (route.champion, route.candidate) if target]
    return [origin for target in targets for origin in target.origins]


def server_for(worker: Worker, limits: Limits, tls: ssl.SSLContext | None = None) -> Server:
    config = uvicorn.Config(
        worker.dataplane,
        http=protocol_with(limits),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # the upstream's own goes through
        proxy_headers=False,
        backlog=2048,
        timeout_graceful_shutdown=int(limits.drain_seconds),
        ssl_context_factory=(lambda config, default: tls) if tls else None,
    )
    return Server(config, limits, worker.holder)


async def serve(settings: WorkerSettings, limits: Limits) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    tls = server_context(settings.tls) if settings.tls else None
    worker = build(settings)
    server = server_for(worker, limits, tls)
    worker.start()
    try:
        await server.serve(sockets=[_listening_socket(settings)])
    finally:
        await worker.stop()


def _listening_socket(settings: WorkerSettings) -> socket.socket:
    if isinstance(settings.listen, int):
        return socket.socket(fileno=settings.listen)
    family = socket.AF_INET6 if ":" in settings.listen[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(settings.listen)
    listener.listen(2048)
    return listener


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m proxy`: one worker."""
    import sys

    import uvloop

    settings = parse(sys.argv[1:] if arguments is None else arguments)
    logs.configure()
    try:
        uvloop.run(serve(settings, Limits()))
    except TlsUnusable as error:
        sys.stderr.write(f"penstock: {error}\n")
        sys.exit(3)
