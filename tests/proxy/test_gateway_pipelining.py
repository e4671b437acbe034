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
HEAD_SECONDS = 0.3


@pytest.fixture
def server(background: Background) -> Iterator[Behind]:
    with Behind(background, Limits(head_seconds=HEAD_SECONDS)) as behind:
        yield behind


def _waiting(server: Behind) -> int:
    """How many requests of the one connection are read ahead of their turn."""
    return sum(len(getattr(connection, "_waiting", ())) for connection in server.server.server_state.connections)


def _sending(client: Client, data: bytes) -> threading.Thread:
    """The client sends, and is held back as long as the server does not read."""
    sender = threading.Thread(target=client.send, args=(data,))
    sender.start()
    return sender


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
        sender = _sending(client, one * count)
        while answered < count:
            read = read[1 - len(mark) :] + client.socket.recv(65_536)
            answered += read.count(mark)
            most = max(most, _waiting(server))
        sender.join(PATIENCE)
    assert most * len(one) <= READ_AHEAD + ONE_READ < count * len(one)


def test_a_request_that_is_not_read_on_is_not_late(server: Behind) -> None:
    """Its client has sent it all; that half of its head is still in the kernel is the server's doing."""
    ahead = 40
    with Client(server.port) as client:
        client.send(request("GET", "/wait"))
        eventually(lambda: server.application.seen)
        sender = _sending(client, request("GET", "/next", [("large", "x" * 20_000)]) * ahead)
        time.sleep(HEAD_SECONDS * 4)
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
