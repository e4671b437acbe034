"""Requests that are longer than what is held: they go on as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.servers import HANG, READ, Background, Scripted, eventually, listening_socket, origin_of, refusing, whole
from tests.wire import Client, request
from tests.workers import Scene, target

HELD = 10_000
LONG = bytes(range(256)) * 4_000
PIECES = [LONG[at : at + 70_000] for at in range(0, len(LONG), 70_000)]
CHUNKED = b"POST /invocations HTTP/1.1\r\nhost: proxy.test\r\ntransfer-encoding: chunked\r\n\r\n"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


@pytest.fixture
def passing(scene: Scene) -> Scene:
    """A champion that serves, a candidate that gets copies, and a buffer that long requests do not fit into."""
    return scene.routed(candidate=target("42", scene.candidate), buffer=HELD)


@pytest.fixture
def client(passing: Scene) -> Iterator[Client]:
    with Client(passing.port) as client:
        yield client


def test_a_long_request_arrives_whole_with_its_length(passing: Scene, client: Client) -> None:
    for _ in range(2):
        answer = client.request("POST", "/invocations", body=LONG)
        assert (answer.status, answer["x-penstock-variant"]) == (200, "champion")
    first, second = passing.champion.seen
    assert first.body == second.body == LONG
    assert first["content-length"] == str(len(LONG))


def test_one_without_a_length_arrives_in_chunks(passing: Scene, client: Client) -> None:
    client.send(CHUNKED)
    for piece in PIECES:
        client.send(_chunk(piece))
    client.send(b"0\r\n\r\n")
    assert client.read().status == 200
    (seen,) = passing.champion.seen
    assert seen.body == LONG
    assert seen["transfer-encoding"] == "chunked"


def test_it_is_on_its_way_before_it_is_whole(background: Background, scene: Scene) -> None:
    with Scripted(background, [HANG]) as upstream, Client(scene.port) as client:
        scene.routed(champion=target("40", upstream), buffer=HELD)
        client.send(CHUNKED + _chunk(LONG[:20_000]))
        eventually(lambda: upstream.connections)


def test_it_is_counted_and_not_copied(passing: Scene, client: Client) -> None:
    client.request("POST", "/invocations", body=LONG)
    client.request("POST", "/invocations", body=b"[1]")
    eventually(lambda: passing.candidate.seen)
    assert [seen.body for seen in passing.candidate.seen] == [b"[1]"]
    shadow = passing.window.shadow
    assert (shadow.offered, shadow.sent, shadow.dropped) == (2, 1, {"body_too_large": 1})


def test_over_the_limit_it_is_refused_and_nobody_is_blamed(passing: Scene, client: Client) -> None:
    passing.routed(max_body=500_000)
    client.send(CHUNKED)
    for piece in PIECES:
        client.send(_chunk(piece))
    assert client.read().status == 413
    assert passing.champion.seen == []
    assert passing.window.champion.failures == 0


def test_a_length_over_the_limit_is_refused_before_a_byte_is_sent(passing: Scene, client: Client) -> None:
    passing.routed(max_body=500_000)
    client.send(b"POST / HTTP/1.1\r\nhost: proxy.test\r\ncontent-length: 500001\r\n\r\n")
    assert client.read().status == 413
    assert passing.window.champion.answers == 0


def test_a_client_that_leaves_ends_it_and_nobody_is_blamed(passing: Scene) -> None:
    with Client(passing.port) as client:
        client.send(CHUNKED + _chunk(LONG))
    eventually(passing.worker.idle)
    assert passing.champion.seen == []
    assert passing.window.champion.failures == 0


def test_an_answer_that_comes_early_is_passed_on(background: Background, scene: Scene) -> None:
    with Scripted(background, [0.3, whole(b"enough", 413), HANG]) as upstream, Client(scene.port) as client:
        scene.routed(champion=target("40", upstream), buffer=HELD)
        client.send(CHUNKED + _chunk(LONG[:20_000]))
        answer = client.read()
        assert (answer.status, answer.body) == (413, b"enough")
        assert scene.window.champion.failures == 0
    eventually(scene.worker.idle)


def test_a_candidate_that_fails_it_fails_the_client_as_it_cannot_be_repeated(
    background: Background, scene: Scene
) -> None:
    with Scripted(background, [READ]) as upstream, Client(scene.port) as client:
        scene.ramped(10_000, upstream, buffer=HELD)
        assert client.request("POST", "/invocations", body=LONG).status == 502
    assert scene.champion.seen == []
    assert scene.window.candidate.errors == {"closed": 1}
    assert scene.window.fallbacks == 0


@pytest.mark.parametrize("code", ["connect", "busy"])
def test_the_champion_answers_it_where_the_candidate_has_seen_nothing_of_it(
    background: Background, scene: Scene, code: str
) -> None:
    """What was not sent can be sent: nothing of the rest has been read by then."""
    with ExitStack() as stack:
        if code == "connect":
            scene.ramped(10_000, stack.enter_context(refusing()), buffer=HELD)
        else:
            busy = stack.enter_context(Scripted(background, [READ, HANG]))
            scene.ramped(10_000, busy, buffer=HELD, max_concurrent=1, timeout=600.0)
            stack.enter_context(Client(scene.port)).send(request("POST", "/invocations", body=b"[1]"))
            eventually(lambda: busy.requests)
        answer = stack.enter_context(Client(scene.port)).request("POST", "/invocations", body=LONG)
        assert (answer.status, answer["x-penstock-fallback"]) == (200, "candidate-error")
    eventually(scene.worker.idle)
    assert [seen.body for seen in scene.champion.seen] == [LONG]
    assert (scene.window.candidate.errors, scene.window.fallbacks) == ({code: 1}, 1)


def test_a_server_that_takes_nothing_runs_out_of_time(scene: Scene) -> None:
    with listening_socket() as deaf, Client(scene.port) as client:  # the kernel connects, and nobody ever reads
        scene.routed(champion=target("40", origin_of(deaf)), buffer=HELD, timeout=0.5, max_body=1 << 40)
        client.send(CHUNKED)
        for _ in range(40):
            client.send(_chunk(LONG))
        assert client.read().status == 504
    assert scene.window.champion.errors == {"timeout": 1}


def test_a_server_that_refuses_is_told(scene: Scene) -> None:
    with refusing() as origin, Client(scene.port) as client:
        scene.routed(champion=target("40", origin), buffer=HELD)
        assert client.request("POST", "/invocations", body=LONG).status == 502
    assert scene.window.champion.errors == {"connect": 1}


def test_a_short_request_on_the_same_connection_is_held_as_ever(passing: Scene, client: Client) -> None:
    assert client.request("POST", "/invocations", body=LONG).status == 200
    client.send(request("POST", "/invocations", body=b"[2]"))
    assert client.read().status == 200
    assert [seen.body for seen in passing.champion.seen] == [LONG, b"[2]"]
