"""Clients that take their time, and servers that stop."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from proxy.limits import Limits
from tests.proxy.behind import Behind
from tests.servers import Background, eventually
from tests.wire import Client, CutOff, request

QUICK = Limits(head_seconds=0.3, body_seconds=0.3, idle_seconds=0.3, linger_seconds=0.3)
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


def test_dripping_does_not_put_off_the_deadline(quick: Behind) -> None:
    for drip in (b"G", b"a", b"\r\n"):
        start = {b"G": b"", b"a": b"GET / HTTP/1.1\r\nhost: a\r\nx: ", b"\r\n": request("GET", "/")}[drip]
        with Client(quick.port) as client:
            client.send(start)

            def dripped(client: Client = client, drip: bytes = drip) -> bool:
                try:
                    client.send(drip)
                except OSError:
                    return True
                return not quick.connections

            eventually(dripped)


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
