"""Clients that take their time, and servers that stop."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from proxy.limits import Limits
from tests.proxy.behind import Behind
from tests.servers import Background, eventually
from tests.wire import PATIENCE, Client, CutOff, request

QUICK = Limits(head_seconds=0.5, body_seconds=1.0, idle_seconds=0.5, linger_seconds=0.3)
"""What a client means to send in time is not late by them, on a busy machine either."""
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n"


@pytest.fixture(scope="module")
def quick(background: Background) -> Iterator[Behind]:
    with Behind(background, QUICK) as server:
        yield server


def _ended_by(server: Behind, *sent: bytes, pause: float = 0.05) -> tuple[Client, int | None]:
    """The status, if any, with which the server ends a connection that was sent these bytes and no more."""
    client = Client(server.port)
    for part in sent:
        client.send(part)
        time.sleep(pause)
    try:
        return client, client.read().status
    except CutOff:
        return client, None


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([], None),
        ([b"GET / HT"], 408),
        ([b"GET / HTTP/1.1\r\nhost: a\r\nx: "], 408),
        ([b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf"], 408),
        ([CHUNKED + b"\r\n4\r\nha"], 408),
    ],
    ids=["nothing", "half a line", "half a head", "half a body", "half a chunk"],
)
def test_a_request_that_never_gets_whole_is_given_up(quick: Behind, sent: list[bytes], status: int | None) -> None:
    client, ended = _ended_by(quick, *sent)
    client.close()
    assert ended == status
    eventually(lambda: not quick.connections and not quick.answering)


DRIPS: dict[str, tuple[bytes, bytes, int | None]] = {
    "empty lines": (b"", b"\r\n", None),
    "empty lines behind a request": (request("GET", "/"), b"\r\n", None),
    "target": (b"GET /", b"a", 408),
    "field": (b"GET / HTTP/1.1\r\nhost: a\r\nx: ", b"a", 408),
    "fields": (b"GET / HTTP/1.1\r\nhost: a\r\n", b"a: b\r\n", 408),
    "body": (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999\r\n\r\n", b"a", 408),
    "chunks": (CHUNKED + b"\r\n", b"1\r\na\r\n", 408),
    "trailer": (CHUNKED + b"\r\n1\r\na\r\n0\r\n", b"a: b\r\n", 408),
}


@pytest.mark.parametrize("what", DRIPS)
def test_dripping_does_not_put_off_the_deadline(quick: Behind, what: str) -> None:
    start, drip, status = DRIPS[what]
    with Client(quick.port) as client:
        client.send(start)
        if start == request("GET", "/"):
            assert client.read().status == 200
        assert _ended_while_dripping(client, drip) == status
    eventually(lambda: not quick.connections and not quick.answering)


def _ended_while_dripping(client: Client, drip: bytes) -> int | None:
    """The status, if any, with which the server ends a connection on which something has come all the time."""
    for _ in range(int(PATIENCE / 0.02)):
        if select.select([client.socket], [], [], 0.02)[0]:
            try:
                return client.read().status
            except CutOff:
                return None
        with suppress(BrokenPipeError, ConnectionResetError):
            client.send(drip)
    raise AssertionError("the drip has put the deadline off")


def test_an_idle_connection_is_closed(quick: Behind) -> None:
    with Client(quick.port) as client:
        assert client.request("GET", "/").status == 200
        with pytest.raises(CutOff):
            client.read()


@pytest.mark.parametrize("target", ["/whole", "/flood"])
def test_a_client_that_takes_no_answer_is_given_up(quick: Behind, target: str) -> None:
    body = b"x" * 4_000_000
    with Client(quick.port, receive_buffer=4096) as client:
        client.send(request("POST", target, body=body))
        eventually(lambda: quick.application.bodies and quick.application.bodies[-1] == body)
        eventually(lambda: not quick.connections)
    eventually(lambda: not quick.answering)


def test_a_refused_client_that_never_leaves_is_closed(quick: Behind) -> None:
    with Client(quick.port) as client:
        client.send(b"nonsense\r\n\r\n")
        assert client.read().status == 400
        eventually(lambda: not quick.connections)


def test_a_busy_connection_outlives_every_deadline(quick: Behind) -> None:
    with Client(quick.port) as client:
        client.send(request("GET", "/wait"))
        time.sleep(QUICK.idle_seconds * 4)
        quick.open_gate()
        assert client.read().body == b"/wait"


@pytest.mark.parametrize("good", [b"", request("GET", "/wait")], ids=["alone", "behind another"])
def test_a_drain_does_not_wait_for_refused_clients_to_leave(background: Background, good: bytes) -> None:
    with Behind(background, Limits(linger_seconds=0.1)) as server, Client(server.port) as client:
        client.send(good + CHUNKED + b"\r\nzz\r\n")
        eventually(lambda: len(server.application.seen) == bool(good))
        server.open_gate()
        if good:
            assert client.read().body == b"/wait"
        assert client.read().status == 400
        server.server.should_exit = True
        eventually(server.ended)


def test_a_drain_answers_what_is_under_way_and_tells_clients_to_close(background: Background) -> None:
    with (
        Behind(background, Limits(linger_seconds=10.0)) as server,
        Client(server.port) as busy,
        Client(server.port) as idle,
    ):
        assert idle.request("GET", "/").status == 200
        busy.send(request("GET", "/wait"))
        eventually(lambda: len(server.application.seen) == 2)
        server.server.should_exit = True
        eventually(lambda: server.readiness.draining)
        late = idle.request("GET", "/late")
        assert (late.body, late["connection"]) == (b"/late", "close")
        assert idle.ended()
        server.open_gate()
        answered = busy.read()
        assert (answered.body, answered["connection"]) == (b"/wait", "close")
        assert busy.ended()
        eventually(server.ended)
