"""Clients that leave a worker at every moment, and clients that drip."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from proxy.limits import Limits
from tests.endtoend.stages import BUFFER, Champion, Stage, routes_to, staged
from tests.servers import Background, eventually
from tests.wire import PATIENCE, Client, CutOff, request
from tests.workers import LocalWorker

LEAVING = 500
AT_ONCE = 100
SLOW = 300
SECONDS_TO_REST = 30.0
"""After clients have left. It takes a tenth of one; a body that nobody sends on would be waited for twice as long."""


@pytest.fixture(scope="module")
def stage(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(background, tmp_path_factory.mktemp("worker")) as shared:
        yield shared


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
            for _ in range(AT_ONCE):
                leave(crowd.enter_context(Client(stage.port)))
            eventually(lambda: unread(stage.port) == 0)
            if leave in ASK_THE_CHAMPION:
                eventually(lambda: stage.champion.connections >= AT_ONCE)
    left = time.monotonic()
    stage.comes_to_rest(before, 0.9 * Limits().head_seconds if leave is in_headers else SECONDS_TO_REST)
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
        eventually(lambda: min(served) > 10)
        begun = time.monotonic()
        while slow:
            assert time.monotonic() - begun < 6 * deadline + PATIENCE, f"{len(slow)} are still open"
            slow = {client: way for client, way in slow.items() if not has_ended(client, way[1])}
            time.sleep(0.25)


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
