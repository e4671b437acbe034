"""Clients that send a worker too much, or do not wait for its answers."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from proxy.limits import Limits
from tests.endtoend.stages import MAX_BODY, MIB, Stage, staged
from tests.servers import Background
from tests.wire import PATIENCE, Client, request

HEAVY = bool(os.environ.get("PENSTOCK_CLIENT_FAULTS"))
"""Every depth and every split, and not a choice of them: `make client-faults`."""


@pytest.fixture(scope="module")
def stage(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(background, tmp_path_factory.mktemp("worker")) as shared:
        yield shared


@pytest.fixture
def fresh(background: Background, tmp_path: Path) -> Iterator[Stage]:
    """A worker whose memory nobody has made room in before."""
    with staged(background, tmp_path) as own:
        yield own


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


@pytest.mark.timeout(600)
def test_a_flood_of_requests_is_never_held(fresh: Stage) -> None:
    """A client that is answered may send one more, and not all that it has; each holds some forty times its bytes."""
    count = 50_000
    assert fresh.answers()
    before = highest = fresh.worker.resident_bytes
    with Client(fresh.port) as client:
        client.socket.settimeout(5 * PATIENCE)  # of a socket that is sent all in one call, it is the time for it all
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
