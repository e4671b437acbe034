"""What clients do to a worker in a process of its own: they leave at every moment, drip, send too much, and pipeline.

The oracle is outside: what the origin received, and what the kernel counts for the process.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from uvicorn._types import ASGISendCallable

from proxy.limits import Limits
from proxy.snapshot import ModelRoute, Origin, Snapshot
from tests.servers import Background, ModelServer, Seen, eventually, reply
from tests.wire import PATIENCE, Client, CutOff, call, request
from tests.workers import LocalWorker, WorkerProcess, target

HEAVY = bool(os.environ.get("PENSTOCK_CLIENT_FAULTS"))
"""Every depth and every split, and not a choice of them: `make client-faults`."""

LEAVING = 500
AT_ONCE = 100
SLOW = 300
MIB = 1024 * 1024
MAX_BODY = MIB
BUFFER = MAX_BODY // 16
"""Of a model of its own, whose longer uploads are passed on as they come."""
SECONDS_TO_REST = 5.0
"""After clients have left; it takes a tenth of one."""


class Champion(ModelServer):
    """It answers with what it was sent; behind /wait never, and behind /stream without an end."""

    def __init__(self, background: Background) -> None:
        super().__init__(background, self._answer)

    async def _answer(self, seen: Seen, send: ASGISendCallable) -> None:
        if seen.target == b"/wait":
            await asyncio.sleep(3600)
        if seen.target == b"/stream":
            await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": False})
            while self.connections:
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
                await asyncio.sleep(0.01)
        await reply(send, seen.body or seen.target)

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def forget(self) -> None:
        self.seen.clear()


@dataclass
class Stage:
    worker: WorkerProcess
    champion: Champion

    @property
    def port(self) -> int:
        return self.worker.port

    def at_rest(self) -> int:
        """The worker's descriptors when nothing has been asked for a while: its kept connections have ended by then."""
        eventually(lambda: self.champion.connections == 0)
        return self.worker.descriptors

    def comes_to_rest(self, before: int, within: float = PATIENCE) -> None:
        eventually(lambda: self.champion.connections == 0 and self.worker.descriptors <= before, within)

    def answers(self) -> bool:
        return call(self.port, "POST", "/", (), b"still there").body == b"still there"


def routes_to(champion: Champion) -> tuple[ModelRoute, ModelRoute]:
    held = ModelRoute("held", "/", target("40", champion), timeout=300.0, max_body=MAX_BODY)
    return held, replace(held, model="passed_on", path_prefix="/passed-on", buffer=BUFFER)


@contextmanager
def staged(background: Background, folder: Path) -> Iterator[Stage]:
    with (
        Champion(background) as champion,
        WorkerProcess(Origin("127.0.0.1", 9), folder, Snapshot(1, routes_to(champion))) as worker,
    ):
        yield Stage(worker, champion)


@pytest.fixture(scope="module")
def stage(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(background, tmp_path_factory.mktemp("worker")) as shared:
        yield shared


@pytest.fixture
def fresh(background: Background, tmp_path: Path) -> Iterator[Stage]:
    """A worker whose memory nobody has made room in before."""
    with staged(background, tmp_path) as own:
        yield own


# Clients that leave


def upload(path: str, length: int, sent: int) -> bytes:
    """A request whose body has come but in part."""
    return b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (path.encode(), length) + b"x" * sent


def in_headers(client: Client) -> None:
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\nx-half: ")


def in_upload(client: Client) -> None:
    client.send(upload("/", 100_000, 50_000))


def in_upload_that_is_passed_on(client: Client) -> None:
    client.send(upload("/passed-on", 4 * BUFFER, 2 * BUFFER))


def waiting(client: Client) -> None:
    client.send(request("POST", "/wait", (), b"{}"))


def in_response(client: Client) -> None:
    client.send(request("POST", "/stream", (), b"{}"))
    client.read_head()
    client.read_some(100)


ASK_THE_CHAMPION = (in_upload_that_is_passed_on, waiting, in_response)


def unread(port: int) -> int:
    """How many bytes and connections wait in the kernel for the one who listens at a port, by proc_net_tcp(5)."""
    local = f"0100007F:{port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(int(line[4].partition(":")[2], 16) for line in lines if line[1] == local)


@pytest.mark.parametrize("leave", [in_headers, in_upload, *ASK_THE_CHAMPION])
def test_clients_that_leave_take_all_that_they_held_along(stage: Stage, leave: Callable[[Client], None]) -> None:
    assert stage.answers()
    before = stage.at_rest()
    for _ in range(LEAVING // AT_ONCE):
        with ExitStack() as crowd:
            clients = [crowd.enter_context(Client(stage.port)) for _ in range(AT_ONCE)]
            for client in clients:
                leave(client)
            eventually(lambda: unread(stage.port) == 0)
            if leave in ASK_THE_CHAMPION:
                eventually(lambda: stage.champion.connections >= AT_ONCE)
    left = time.monotonic()
    stage.comes_to_rest(before, SECONDS_TO_REST)
    print(f"{leave.__name__}: at rest {time.monotonic() - left:.1f} s after {LEAVING} clients had left")
    assert stage.answers()


# Clients that drip


SLOW_HEADS: list[tuple[bytes, bytes]] = [
    (b"", b""),
    (b"POST / HTTP/1.1\r\n", b""),
    (b"POST / HTTP/1.1\r\n", b"x"),
]
"""What a client begins with, and what drips from it then."""
SLOW_BODIES: list[tuple[bytes, bytes]] = [
    (upload("/", 1000, 10), b""),
    (upload("/", 1000, 10), b"x"),
    (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    (upload("/passed-on", 2 * BUFFER, BUFFER + 1), b""),
    (upload("/passed-on", 2 * BUFFER, BUFFER + 1), b"x"),
]


def test_dripping_clients_are_closed_by_the_deadline_and_nobody_else_notices(stage: Stage) -> None:
    before = stage.at_rest()
    see_them_closed(stage.port, SLOW_HEADS, Limits().head_seconds)
    stage.comes_to_rest(before)


def test_dripped_bodies_end_by_their_deadline_and_nobody_else_notices(background: Background) -> None:
    """In this process, where a body need not be waited for for a minute."""
    limits = Limits(body_seconds=2.0)
    with Champion(background) as champion, LocalWorker(background, *routes_to(champion), limits=limits) as worker:
        see_them_closed(worker.port, SLOW_BODIES, limits.body_seconds)
        eventually(worker.idle)


def see_them_closed(port: int, ways: list[tuple[bytes, bytes]], deadline: float) -> None:
    """A crowd that is slow in these ways is closed soon after the deadline, in seconds; good clients do not notice."""
    with good_clients(port) as served, ExitStack() as crowd:
        slow = {crowd.enter_context(Client(port)): ways[number % len(ways)] for number in range(SLOW)}
        for client, (start, _) in slow.items():
            client.send(start)
            client.socket.setblocking(False)
        begun = time.monotonic()
        while slow:
            assert time.monotonic() - begun < 6 * deadline, f"{len(slow)} are still open"
            slow = {client: way for client, way in slow.items() if not has_ended(client, way[1])}
            time.sleep(0.25)
    assert sum(served) > 100


@contextmanager
def good_clients(port: int) -> Iterator[list[int]]:
    """Four that ask one request after another; fails where one of them was not answered. Gives how many were."""
    served = [0] * 4
    failures: list[Exception] = []
    done = threading.Event()

    def ask(number: int) -> None:
        try:
            with Client(port) as client:
                while not done.wait(0.005):
                    assert client.request("POST", "/", (), b"good").body == b"good"
                    served[number] += 1
        except (OSError, CutOff, AssertionError) as failure:
            failures.append(failure)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(served))]
    for thread in threads:
        thread.start()
    try:
        yield served
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not failures


def has_ended(client: Client, drip: bytes) -> bool:
    """Whether the server has ended the connection; what it says before is passed over."""
    try:
        while client.socket.recv(65_536):
            pass
    except BlockingIOError:
        pass
    except ConnectionResetError:
        return True
    else:
        return True
    try:
        client.socket.send(drip)
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


# Clients that send too much


TOO_MUCH: dict[str, tuple[int, bytes, bytes]] = {
    "header": (431, b"GET / HTTP/1.1\r\nhost: a\r\nx-large: ", b"x" * (2 * MIB)),
    "headers": (431, b"GET / HTTP/1.1\r\nhost: a\r\n", b"x-a: b\r\n" * (2 * MIB // 8)),
    "header behind a request": (
        431,
        b"",
        request("GET", "/-/live") + request("GET", "/", [("x-large", "x" * 100_000)]),
    ),
    "target": (414, b"GET /", b"x" * (2 * MIB) + b" HTTP/1.1\r\nhost: a\r\n\r\n"),
    "body": (413, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (3 * MIB), b"x" * (3 * MIB)),
    "chunks": (
        413,
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        b"3e8\r\n" + b"x" * 1000 + b"\r\n",
    ),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_is_too_large_is_refused_and_never_held(fresh: Stage, what: str) -> None:
    status, start, more = TOO_MUCH[what]
    if what == "chunks":
        more *= 3 * MIB // 1000
    fresh.champion.forget()
    assert fresh.answers()
    before = fresh.worker.resident_bytes
    highest = before
    with ExitStack() as crowd:
        clients = [crowd.enter_context(Client(fresh.port)) for _ in range(30)]
        for client in clients:
            client.send(start)
        for client in clients:
            client.socket.settimeout(20)
            with suppress(BrokenPipeError, ConnectionResetError):  # it need not listen to the end
                client.send(more)
            highest = max(highest, fresh.worker.resident_bytes)
        for client in clients:
            assert refused_with(client) == status
    held = highest - before
    print(f"{what}: {held / MIB:.1f} MiB more for 30 clients of {len(more) / MIB:.1f} MiB each")
    assert held < 30 * (MAX_BODY if status == 413 else Limits().head_bytes) + 8 * MIB
    assert fresh.answers()
    assert {seen.body for seen in fresh.champion.seen} == {b"still there"}


def refused_with(client: Client) -> int:
    """The status of the first answer that is no success."""
    while (status := client.read().status) < 400:
        pass
    return status


# Clients that do not wait for an answer


def test_a_flood_of_requests_is_never_held(fresh: Stage) -> None:
    """A client that is answered may send one more, and not all that it has; each holds some forty times its bytes."""
    count = 50_000
    assert fresh.answers()
    before = highest = fresh.worker.resident_bytes
    with Client(fresh.port) as client:
        sender = threading.Thread(target=client.send, args=(b"GET /-/live HTTP/1.1\r\nhost: a\r\n\r\n" * count,))
        sender.start()
        for _ in range(count):
            assert client.read().status == 200
            highest = max(highest, fresh.worker.resident_bytes)
        sender.join()
    print(f"{(highest - before) / MIB:.1f} MiB more for {count} requests on one connection")
    assert highest - before < 32 * MIB


def pipeline(depth: int) -> tuple[bytes, list[bytes]]:
    """So many requests in one piece, of several framings, and the bodies of their answers."""
    raw = []
    for number in range(depth):
        body = b"body-%d" % number
        if number % 3 == 0:
            raw.append(request("POST", f"/{number}", (), body))
        elif number % 3 == 1:
            chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            raw.append(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + chunks)
        else:
            raw.append(request("GET", f"/body-{number}"))
    return b"".join(raw), [b"/body-%d" % n if n % 3 == 2 else b"body-%d" % n for n in range(depth)]


def answered(client: Client, depth: int) -> list[bytes]:
    return [client.read().body for _ in range(depth)]


@pytest.mark.parametrize("depth", range(2, 21))
def test_pipelined_requests_that_come_byte_by_byte_are_answered_in_order(stage: Stage, depth: int) -> None:
    raw, bodies = pipeline(depth)
    with Client(stage.port) as client:
        for index in range(len(raw)):
            client.send(raw[index : index + 1])
        assert answered(client, depth) == bodies


@pytest.mark.parametrize("depth", range(2, 21) if HEAVY else [2, 20])
def test_pipelined_requests_split_anywhere_are_answered_in_order(stage: Stage, depth: int) -> None:
    raw, bodies = pipeline(depth)
    step = 1 if HEAVY or depth == 2 else 31
    with Client(stage.port) as client:
        for split in range(1, len(raw), step):
            client.send(raw[:split])
            client.send(raw[split:])
            assert answered(client, depth) == bodies, f"split at {split}"
