"""What clients do to a worker in a process of its own: they leave at every moment, drip, send too much, and pipeline.

The oracle is outside: what the origin received, and what the kernel counts for the process.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from uvicorn._types import ASGISendCallable

from proxy.limits import Limits
from proxy.snapshot import ModelRoute, Origin, Snapshot
from tests.servers import Background, ModelServer, Seen, eventually, reply
from tests.wire import Client, CutOff, call, request
from tests.workers import WorkerProcess, target

HEAVY = bool(os.environ.get("PENSTOCK_CLIENT_FAULTS"))
"""Every depth and every split, and not a choice of them: `make client-faults`."""

LEAVING = 500
AT_ONCE = 100
SLOW = 300
MIB = 1024 * 1024
MAX_BODY = MIB


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

    def comes_to_rest(self, before: int) -> None:
        eventually(lambda: self.champion.connections == 0 and self.worker.descriptors <= before)

    def answers(self) -> bool:
        return call(self.port, "POST", "/", (), b"still there").body == b"still there"


@pytest.fixture(scope="module")
def stage(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("worker")
    with Champion(background) as champion:
        route = ModelRoute("m", "/", target("40", champion), timeout=300.0, max_body=MAX_BODY)
        with WorkerProcess(Origin("127.0.0.1", 9), folder, Snapshot(1, (route,))) as worker:
            yield Stage(worker, champion)


# Clients that leave


def in_headers(client: Client) -> None:
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\nx-half: ")


def in_upload(client: Client) -> None:
    client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n" + b"x" * 50_000)


def waiting(client: Client) -> None:
    client.send(request("POST", "/wait", (), b"{}"))


def in_response(client: Client) -> None:
    client.send(request("POST", "/stream", (), b"{}"))
    client.read_head()
    client.read_some(100)


@pytest.mark.parametrize("leave", [in_headers, in_upload, waiting, in_response])
def test_clients_that_leave_take_all_that_they_held_along(stage: Stage, leave: Callable[[Client], None]) -> None:
    assert stage.answers()
    before = stage.at_rest()
    for _ in range(LEAVING // AT_ONCE):
        with ExitStack() as crowd:
            clients = [crowd.enter_context(Client(stage.port)) for _ in range(AT_ONCE)]
            for client in clients:
                leave(client)
            if leave is waiting:
                eventually(lambda: stage.champion.connections >= AT_ONCE)
    left = time.monotonic()
    stage.comes_to_rest(before)
    print(f"{leave.__name__}: at rest {time.monotonic() - left:.1f} s after {LEAVING} clients had left")
    assert stage.answers()


# Clients that drip


def test_dripping_clients_are_closed_by_the_deadline_and_nobody_else_notices(stage: Stage) -> None:
    before = stage.at_rest()
    failures: list[object] = []
    served = 0
    done = threading.Event()

    def good_client() -> None:
        nonlocal served
        with Client(stage.port) as client:
            while not done.is_set():
                try:
                    assert client.request("POST", "/", (), b"good").body == b"good"
                    served += 1
                except (OSError, CutOff, AssertionError) as failure:
                    failures.append(failure)
                    return
                time.sleep(0.005)

    good = [threading.Thread(target=good_client) for _ in range(4)]
    with ExitStack() as crowd:
        slow = [crowd.enter_context(Client(stage.port)) for _ in range(SLOW)]
        for number, client in enumerate(slow):
            client.send(b"POST / HTTP/1.1\r\n" if number % 3 else b"")
            client.socket.setblocking(False)
        for thread in good:
            thread.start()
        try:
            open_still = set(range(SLOW))
            drops = 0
            while open_still:
                assert drops * 0.25 < 6 * Limits().head_seconds, f"{len(open_still)} are still open"
                for number in list(open_still):
                    if has_ended(slow[number], drip=number % 3 == 1):
                        open_still.discard(number)
                drops += 1
                time.sleep(0.25)
        finally:
            done.set()
            for thread in good:
                thread.join()
    assert (failures, served > 100) == ([], True)
    stage.comes_to_rest(before)


def has_ended(client: Client, drip: bool) -> bool:
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
    if drip:
        try:
            client.socket.send(b"x")
        except (BrokenPipeError, ConnectionResetError):
            return True
    return False


# Clients that send too much


TOO_MUCH: dict[str, tuple[int, bytes, bytes]] = {
    "header": (431, b"GET / HTTP/1.1\r\nhost: a\r\nx-large: ", b"x" * (2 * MIB)),
    "headers": (431, b"GET / HTTP/1.1\r\nhost: a\r\n", b"x-a: b\r\n" * (2 * MIB // 8)),
    "target": (414, b"GET /", b"x" * (2 * MIB) + b" HTTP/1.1\r\nhost: a\r\n\r\n"),
    "body": (413, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (3 * MIB), b"x" * (3 * MIB)),
    "chunks": (
        413,
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        b"3e8\r\n" + b"x" * 1000 + b"\r\n",
    ),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_what_is_too_large_is_refused_and_never_held(stage: Stage, what: str) -> None:
    status, start, more = TOO_MUCH[what]
    if what == "chunks":
        more *= 3 * MIB // 1000
    stage.champion.forget()
    assert stage.answers()
    before = stage.worker.resident_bytes
    highest = before
    with ExitStack() as crowd:
        clients = [crowd.enter_context(Client(stage.port)) for _ in range(30)]
        for client in clients:
            client.send(start)
        for client in clients:
            client.socket.settimeout(20)
            with suppress(BrokenPipeError, ConnectionResetError):  # it need not listen to the end
                client.send(more)
            highest = max(highest, stage.worker.resident_bytes)
        for client in clients:
            assert client.read_head()[1] == status
    held = highest - before
    print(f"{what}: {held / MIB:.1f} MiB more for 30 clients of {len(more) / MIB:.1f} MiB each")
    assert held < 30 * MAX_BODY + 16 * MIB if status == 413 else held < 30 * MIB
    assert stage.answers()
    assert {seen.body for seen in stage.champion.seen} == {b"still there"}


# Clients that do not wait for an answer


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
