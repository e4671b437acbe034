"""Paced load: sent on time whatever the server does, and every delay charged to the server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

import pytest

from loadtests.bench import paced as pacing
from loadtests.bench.paced import Pacer

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REQUEST = b"POST /m0/invocations HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"
EXPECTED = b"\r\n\r\nok"
RATE, SECONDS = 200, 1.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is unanswered in the end is what the server leaves so, and not what a busy machine has not come to yet."""
    monkeypatch.setattr(pacing, "_GRACE_SECONDS", 10.0)


@contextmanager
def server(answers: dict[int, bytes] | None = None, stall_at: int = -1, stall: float = 0.0) -> Iterator[int]:
    """Answers every connection in turn with `ANSWER`, but request number n with `answers[n]`; once it stalls."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    listener.settimeout(0.2)
    stopping = threading.Event()
    lock = threading.Lock()
    served = iter(range(1_000_000))

    def serve(client: socket.socket) -> None:
        with client:
            while client.recv(65_536):
                with lock:  # one at a time, so that a stall holds up everybody
                    number = next(served)
                    if number == stall_at:
                        sleep(stall)
                    client.sendall((answers or {}).get(number, ANSWER))

    def accept() -> None:
        while not stopping.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1]
    stopping.set()
    thread.join()
    listener.close()


def paced(port: int) -> Pacer:
    pacer = Pacer(port, REQUEST, EXPECTED)
    pacer.run(RATE, SECONDS)
    pacer.close()
    return pacer


def test_every_request_of_the_schedule_is_sent_and_counted() -> None:
    with server() as port:
        pacer = paced(port)

    assert len(pacer.latencies) == RATE * SECONDS
    assert pacer.failures == 0


def test_a_stall_is_charged_with_all_that_came_due_meanwhile() -> None:
    """A client that waits for each answer would see one slow request; at this rate sixty came due."""
    stall = 0.3
    with server(stall_at=20, stall=stall) as port:
        pacer = paced(port)

    assert sum(latency > stall / 2 for latency in pacer.latencies) >= RATE * stall / 4


def test_a_wrong_answer_is_a_failure() -> None:
    wrong = {
        3: ANSWER.replace(b"200 OK", b"502 Bad Gateway"),
        5: ANSWER.replace(b"\r\n\r\nok", b"\r\n\r\nno"),
    }
    with server(wrong) as port:
        pacer = paced(port)

    assert pacer.failures == 2


def test_what_is_never_answered_is_a_failure_as_late_as_it_has_become() -> None:
    with server({RATE - 5: b""}) as port:
        pacer = paced(port)

    assert pacer.failures == 1
    assert len(pacer.latencies) == RATE * SECONDS
    assert max(pacer.latencies) >= SECONDS
