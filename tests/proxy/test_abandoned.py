"""Requests whose client did not wait for the answer: what they say of the version that was asked, and what not."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from proxy.tally import LaneTally
from tests.servers import HANG, JSON, READ, Background, Script, Scripted, eventually, whole
from tests.wire import Client, request
from tests.workers import BODY, Scene, target

ENDLESS = 600.0
WAIT = 0.3
LONGER = 2.0
"""Half of it is more than a busy machine takes over what is no waiting."""
LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"
UNANSWERED: dict[str, Script] = {
    "before the head": [READ, HANG],
    "in the head": [READ, b"HTTP/1.1 200 OK\r\n", HANG],
    "in the body": [READ, LENGTH + b"half", HANG],
}


def asked_and_left(scene: Scene, upstream: Scripted, sent: bytes, wait: float = WAIT) -> None:
    """Three clients that leave after a moment."""
    with ExitStack() as crowd:
        for _ in range(3):
            crowd.enter_context(Client(scene.port)).send(sent)
        eventually(lambda: upstream.connections == 3)
        time.sleep(wait)
    eventually(scene.worker.idle)


def counted(lane: LaneTally) -> tuple[int, int, int, int]:
    return lane.asked, lane.answers, lane.failures, lane.abandoned.total


@pytest.mark.parametrize("name", UNANSWERED)
@pytest.mark.parametrize("variant", ["champion", "candidate"])
def test_a_client_that_leaves_is_counted_apart_with_the_time_that_it_waited(
    background: Background, scene: Scene, variant: str, name: str
) -> None:
    """It is no answer and no failure, and no request that is under way any more: a version that hangs would else look
    the better the more clients it drives away."""
    with Scripted(background, UNANSWERED[name]) as upstream:
        if variant == "candidate":
            scene.ramped(10_000, upstream, timeout=ENDLESS)
        else:
            scene.ramped(0).routed(champion=target("40", upstream), timeout=ENDLESS)
        asked_and_left(scene, upstream, request("POST", "/", [JSON], BODY))
    lane = scene.window.champion if variant == "champion" else scene.window.candidate
    assert counted(lane) == (0, 0, 0, 3)
    assert lane.abandoned.above(WAIT / 2) == 3
    assert lane.latency.total == 0


def test_one_that_leaves_while_the_champion_is_asked_for_its_opinion_leaves_both(
    background: Background, scene: Scene
) -> None:
    rejecting: Script = [READ, whole(b"no", 400)] * 3
    with Scripted(background, [READ, HANG]) as champion, Scripted(background, rejecting) as candidate:
        scene.ramped(10_000, candidate, champion=target("40", champion), timeout=ENDLESS)
        asked_and_left(scene, champion, request("POST", "/", [JSON], BODY), LONGER)
    assert counted(scene.window.candidate) == counted(scene.window.champion) == (0, 0, 0, 3)
    assert scene.window.candidate.abandoned.above(LONGER / 2) == 0, "the candidate had answered by then"


@pytest.mark.parametrize("ended", ["left", "too long"])
def test_a_request_that_never_becomes_whole_says_nothing_of_who_was_to_answer_it(
    background: Background, scene: Scene, ended: str
) -> None:
    chunked = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    with Scripted(background, [HANG]) as upstream:
        scene.ramped(10_000, upstream, timeout=ENDLESS, buffer=100, max_body=20_000)
        with Client(scene.port) as client:
            client.send(chunked + b"3e8\r\n" + b"x" * 1000 + b"\r\n")
            eventually(lambda: upstream.connections)
            time.sleep(LONGER)
            if ended == "too long":
                client.send(b"ffff\r\n" + b"x" * 65_535 + b"\r\n")
                assert client.read().status == 413
        eventually(scene.worker.idle)
    assert counted(scene.window.candidate) == (0, 0, 0, 1)
    assert scene.window.candidate.abandoned.above(LONGER / 2) == 0, "it was the client that was waited for"


@pytest.mark.parametrize("end", ["reads", "leaves"])
def test_an_answer_that_its_client_is_slow_to_take_was_given_when_it_was_whole(
    background: Background, scene: Scene, end: str
) -> None:
    body = b"x" * (6 << 20)
    with Scripted(background, [READ, whole(body), HANG]) as upstream:
        scene.ramped(10_000, upstream, timeout=ENDLESS)
        with Client(scene.port, receive_buffer=4096) as client:
            client.send(request("POST", "/", [JSON], BODY))
            eventually(lambda: upstream.requests)
            time.sleep(2.0)
            if end == "reads":
                assert client.read().body == body
        eventually(scene.worker.idle)
    lane = scene.window.candidate
    assert lane.failures == 0
    assert lane.latency.above(2.0) == lane.abandoned.above(2.0) == 0


def test_a_copy_that_is_given_up_as_the_worker_stops_counts_as_abandoned(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, HANG]) as upstream:
        scene.shadowed(upstream, timeout=ENDLESS).post()
        eventually(lambda: upstream.requests)
        background.run(scene.worker.worker.mirror.finish(0.05))
        scene.settled(1)
    assert counted(scene.window.candidate_shadow) == (0, 0, 0, 1)


def test_without_a_candidate_nothing_is_counted_of_requests_under_way(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, HANG]) as upstream:
        scene.routed(champion=target("40", upstream), timeout=ENDLESS)
        asked_and_left(scene, upstream, request("POST", "/", [JSON], BODY))
    assert counted(scene.window.champion) == (0, 0, 0, 0)
