"""Real workers for the tests, in this process and in their own, and the control end that they are linked to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs

import msgspec
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from proxy import app, snapshot
from proxy.limits import Limits
from proxy.push import Push, decode_push
from proxy.settings import WorkerSettings
from proxy.snapshot import ModelRoute, Origin, ShadowPolicy, Snapshot, Target
from proxy.tally import ShadowTally
from proxy.window import Window, merge_all
from tests.servers import (
    JSON,
    START_PATIENCE,
    AppServer,
    Background,
    Hosted,
    ModelServer,
    Scripted,
    bound_socket,
    eventually,
    listening_socket,
    origin_of,
    predicting,
    read_body,
    reply,
)
from tests.wire import PATIENCE, CutOff, Reply, call

ROOT = Path(__file__).parent.parent
BODY = b'{"inputs": [[1, 2, 3]]}'


class ControlEnd(AppServer):
    """The other end of a worker's link: it publishes snapshots, keeps what it is told, and can be out of order."""

    def __init__(self, background: Background) -> None:
        self.snapshot: Snapshot | None = None
        self.polls: list[tuple[str, int]] = []
        self.pushes: list[Push] = []
        self.refusing = False  # windows are neither kept nor acknowledged
        self.mute = False  # windows are kept, and the acknowledgement is lost
        self.hanging = False  # windows are read, and nothing comes back
        self.unheard = 0
        self._published = asyncio.Event()
        super().__init__(background)

    def publish(self, published: Snapshot) -> None:
        def publish() -> None:
            self.snapshot = published
            self._published.set()
            self._published = asyncio.Event()

        self._background.call(publish)

    def acknowledged(self, generation: int) -> bool:
        return any(known == generation for _, known in self.polls)

    def window(self, model: str, epoch: int = 0) -> Window:
        """All that was ever received of one (model, epoch): of each worker its newest."""
        newest: dict[str, tuple[int, Window]] = {}
        for push in list(self.pushes):
            for sample in push.samples:
                known = newest.get(push.worker, (0, Window()))
                if (sample.model, sample.epoch) == (model, epoch) and push.sequence > known[0]:
                    newest[push.worker] = (push.sequence, sample.window)
        return merge_all(found for _, found in newest.values())

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        if scope["path"] == "/link/windows":
            push = decode_push(await read_body(receive) or b"")
            self.unheard += self.refusing or self.mute or self.hanging
            if self.hanging:
                await asyncio.sleep(PATIENCE)
            if not self.refusing:
                self.pushes.append(push)
            await _empty(send, 503 if self.refusing or self.mute else 204)
        else:
            await self._poll(scope, send)

    async def _poll(self, scope: HTTPScope, send: ASGISendCallable) -> None:
        query = parse_qs(scope["query_string"].decode())
        held = int(query["generation"][0])
        self.polls.append((query["worker"][0], held))
        if self.snapshot is None or self.snapshot.generation == held:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._published.wait(), 5)
        if self.snapshot is None or self.snapshot.generation == held:
            await _empty(send, 204)
        else:
            await reply(send, snapshot.encode(self.snapshot))


async def _empty(send: ASGISendCallable, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [], "trailers": False})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class LocalWorker(Hosted):
    """A worker in this process, whose parts a test can look into. It has no control plane: a test routes it."""

    def __init__(
        self,
        background: Background,
        *routes: ModelRoute,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
        trusted_peers: tuple[str, ...] = (),
    ) -> None:
        settings = WorkerSettings(Origin("127.0.0.1", 9), ("127.0.0.1", 0), trusted_peers=trusted_peers)
        self.worker = background.call(lambda: app.build(settings))
        self.worker.mirror.brake.on = False  # a busy machine must hold back neither the copies that a test counts
        self.worker.mirror.comparer.busy = lambda: 0.0  # nor the comparisons
        super().__init__(background, lambda: app.server_for(self.worker, limits or Limits(), tls))
        self.route(*routes)

    def route(self, *routes: ModelRoute) -> None:
        held = self.worker.holder.current
        self.worker.holder.current = Snapshot(held.generation + 1 if held else 1, routes)

    def adopt(self, *routes: ModelRoute) -> None:
        """Route these models, and probe their servers, as the link does with each snapshot that comes in."""
        self.route(*routes)
        self._background.call(lambda: self.worker.probes.adopt(Snapshot(1, routes)))

    def window(self, route: ModelRoute) -> Window:
        """Given between two turns of the loop, so that what was counted in one turn is there as a whole."""
        return self._background.call(lambda: self.worker.windows.of(route))

    def idle(self) -> bool:
        """Whether no exchange holds a connection, and no copy is still to be compared: what is left in the pools is
        idle, and closed here. Looked at between two turns of the loop as well."""

        def look() -> bool:
            self.worker.upstreams.retain([])
            return (
                self.worker.upstreams.connections == 0
                and not any(load.copies for load in self.worker.mirror.loads.values())
                and not any(
                    getattr(connection, "answering", False) for connection in self.server.server_state.connections
                )
            )

        return self._background.call(look)

    def stop(self) -> None:
        super().stop()
        self._background.run(self.worker.stop())


class WorkerProcess(AbstractContextManager["WorkerProcess"]):
    """`python -m proxy`, as the supervisor starts it: on a socket that nobody else can come by. With `start` it finds a
    snapshot in its cache."""

    def __init__(self, control: Origin, folder: Path, start: Snapshot | None = None) -> None:
        self.cache = folder / "snapshot.json"
        if start is not None:
            self.cache.write_bytes(snapshot.encode(start))
        self._place = bound_socket()
        self.port = origin_of(self._place).port
        self._log = folder / "worker.log"
        with self._log.open("ab") as log, listening_socket(self.port) as listener:
            arguments = ["--control", f"http://{control.authority}", "--fd", str(listener.fileno())]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "proxy", *arguments, "--cache", self.cache],
                cwd=ROOT,
                pass_fds=[listener.fileno()],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        eventually(self._is_live, START_PATIENCE)

    def _is_live(self) -> bool:
        assert self._process.poll() is None, self.log
        try:
            return call(self.port, "GET", "/-/live").status == 200
        except (OSError, CutOff):
            return False

    @property
    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    @property
    def resident_bytes(self) -> int:
        """What it holds in memory now, by proc_pid_statm(5)."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def log(self) -> str:
        return self._log.read_text()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code; fails where the process does not end."""
        return self._process.wait(PATIENCE)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._place.close()


class Fleet:
    """One control end and one worker process that serves every model that the tests deploy."""

    def __init__(self, control: ControlEnd, worker: WorkerProcess) -> None:
        self.control = control
        self.worker = worker
        self.port = worker.port
        self._routes: dict[str, ModelRoute] = {}
        self._generation = 0

    def deploy(self, *routes: ModelRoute) -> Snapshot:
        """Route these models, beside those that are there; returns when the worker has acknowledged."""
        self._routes.update((route.model, route) for route in routes)
        self._generation += 1
        published = Snapshot(self._generation, tuple(self._routes.values()))
        self.control.publish(published)
        eventually(lambda: self.control.acknowledged(published.generation))
        return published

    def window(self, route: ModelRoute, complete: Callable[[Window], bool]) -> Window:
        """The model's window, once the worker has pushed one that is `complete`."""
        eventually(lambda: complete(self.control.window(route.model, route.epoch)))
        return self.control.window(route.model, route.epoch)


def target(version: str, server: Hosted | Scripted | Origin) -> Target:
    return Target(version, (server if isinstance(server, Origin) else server.origin,))


def passed_over(port: int, version: str = "40") -> int:
    """How many servers of a version of model m the worker passes over, as it tells everybody."""
    told = msgspec.json.decode(call(port, "GET", "/-/health").body)
    return int(told["models"]["m"]["servers"][version]["passed_over"])


class Scene:
    """One worker, a champion and a candidate; each scene counts in an epoch of its own. Its deadlines are those that
    only a hang reaches, until a test sets others."""

    epochs = 0

    def __init__(self, worker: LocalWorker, champion: ModelServer, candidate: ModelServer) -> None:
        self.worker, self.champion, self.candidate = worker, champion, candidate
        for server in (champion, candidate):
            server.handler = predicting(1.0)
            server.seen.clear()
        Scene.epochs += 1
        patient = ShadowPolicy(timeout=PATIENCE)
        self.route = ModelRoute(
            "m", "/", target("40", champion), epoch=Scene.epochs, salt="s", timeout=PATIENCE, shadow=patient
        )
        self.port = worker.port
        worker.route(self.route)

    def routed(self, **changes: object) -> Scene:
        self.route = replace(self.route, **changes)  # type: ignore[arg-type]
        self.worker.route(self.route)
        return self

    def ramped(self, ramp_bp: int, server: ModelServer | Scripted | Origin | None = None, **changes: object) -> Scene:
        """`ramp_bp` of the traffic to the candidate, and no copies."""
        no_copies = replace(self.route.shadow, share_bp=0)
        trial = target("42", server or self.candidate)
        return self.routed(candidate=trial, ramp_bp=ramp_bp, shadow=no_copies, **changes)

    def shadowed(self, server: ModelServer | Scripted | Origin | None = None, **policy: object) -> Scene:
        """The champion serves, and the candidate gets copies."""
        shadow = replace(ShadowPolicy(timeout=PATIENCE), **policy)  # type: ignore[arg-type]
        return self.routed(candidate=target("42", server or self.candidate), shadow=shadow)

    @property
    def window(self) -> Window:
        return self.worker.window(self.route)

    def settled(self, offered: int) -> ShadowTally:
        """The tally, when every copy that was offered has met its end."""
        eventually(lambda: self.window.shadow.offered == offered)
        eventually(self.worker.idle)
        tally = self.window.shadow
        assert tally.offered == tally.sent + sum(tally.dropped.values())
        return tally

    def post(self, path: str = "/invocations", *fields: tuple[str, str], body: bytes = BODY) -> Reply:
        return call(self.port, "POST", path, [JSON, *fields], body)
