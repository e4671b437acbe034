"""Clients that do not wait for answers: what is read ahead is bounded, and nobody is blamed for what is not read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from proxy.gateway import READ_AHEAD
from proxy.limits import Limits
from tests.proxy.behind import Behind
from tests.servers import Background, eventually
from tests.wire import PATIENCE, Client, request

ONE_READ = 256_000
"""The most bytes that uvloop reads at once."""


@pytest.fixture
def server(background: Background) -> Iterator[Behind]:
    with Behind(background, Limits()) as behind:
        yield behind


def _waiting(server: Behind) -> int:
    """How many requests of the one connection are read ahead of their turn."""
    return sum(len(getattr(connection, "_waiting", ())) for connection in server.server.server_state.connections)


def _sending(client: Client, data: bytes) -> threading.Thread:
    """The client sends, and is held back as long as the server does not read."""
    sender = threading.Thread(target=client.send, args=(data,))
    sender.start()
    return sender


def test_pipelined_requests_are_answered_in_order(server: Behind) -> None:
    with Client(server.port) as client:
        client.send(b"".join(request("POST", f"/{number}", body=b"%d" % number) for number in range(20)))
        assert [client.read().body for _ in range(20)] == [b"%d" % number for number in range(20)]


def test_a_body_that_ends_in_one_piece_with_the_next_request_is_answered(server: Behind) -> None:
    with Client(server.port) as client:
        first = request("POST", "/first", body=b"half and half")
        server.application.seen.clear()
        client.send(first[:-8])
        eventually(lambda: server.application.seen)  # it waits for the rest
        client.send(first[-8:] + request("POST", "/second", body=b"whole"))
        assert [client.read().body for _ in range(2)] == [b"half and half", b"whole"]


@pytest.mark.parametrize("first", [request("GET", "/"), request("POST", "/", body=b"/")], ids=["head", "body"])
@pytest.mark.parametrize("large", [b"a: " + b"x" * 40_000, b"a: b\r\n" * 6000], ids=["a field", "many fields"])
def test_a_head_too_large_is_refused_behind_another_request_too(server: Behind, first: bytes, large: bytes) -> None:
    """Both come in one piece, of which a part is the first request's."""
    with Client(server.port) as client:
        client.send(first + b"GET / HTTP/1.1\r\nhost: a\r\n" + large + b"\r\n\r\n")
        assert (client.read().body, client.read().status) == (b"/", 431)
        assert client.ended()


def test_a_head_is_not_measured_by_the_body_before_it(server: Behind) -> None:
    with Client(server.port) as client:
        body, fields = b"x" * 40_000, [("a", "x" * 20_000)]
        client.send(request("POST", "/", body=body) + request("GET", "/next", fields))
        assert (client.read().body, client.read().body) == (body, b"/next")


@pytest.mark.parametrize(
    "asked",
    [(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", 30_000), (request("POST", "/", body=b"x" * 10_000), 300)],
    ids=["tiny", "bodies"],
)
def test_a_flood_of_requests_is_read_no_faster_than_it_is_answered(server: Behind, asked: tuple[bytes, int]) -> None:
    """Each answer that is out may let in one request, and not another read of thousands."""
    one, count = asked
    mark = b"HTTP/1.1 200"
    most = answered = 0
    read = b""
    with Client(server.port) as client:
        client.socket.settimeout(2 * PATIENCE)  # of a socket that is sent all in one call, it is the time for it all
        sender = _sending(client, one * count)
        while answered < count:
            read = read[1 - len(mark) :] + client.socket.recv(65_536)
            answered += read.count(mark)
            most = max(most, _waiting(server))
        sender.join(PATIENCE)
    assert most * len(one) <= READ_AHEAD + ONE_READ < count * len(one)


def test_a_request_that_is_not_read_on_is_not_late(background: Background) -> None:
    """Its client has sent it all; that half of its head is still in the kernel is the server's doing."""
    ahead, limits = 40, Limits(head_seconds=1.0)
    with Behind(background, limits) as server, Client(server.port) as client:
        client.send(request("GET", "/wait"))
        eventually(lambda: server.application.seen)
        sender = _sending(client, request("GET", "/next", [("large", "x" * 20_000)]) * ahead)
        time.sleep(limits.head_seconds * 2)
        server.open_gate()
        assert [client.read().body for _ in range(1 + ahead)] == [b"/wait"] + [b"/next"] * ahead
        sender.join(PATIENCE)


def test_a_client_that_leaves_is_noticed_though_a_request_waits(server: Behind) -> None:
    with Client(server.port) as client:
        client.send(request("GET", "/wait"))
        eventually(lambda: server.application.seen)
        client.send(request("GET", "/never"))
        eventually(lambda: _waiting(server))
    eventually(lambda: server.application.cancelled)
    assert server.application.seen == [("GET", b"/wait")]
