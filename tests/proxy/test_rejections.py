"""A candidate's 4xx: the client's fault, or the candidate's own; the champion's answer tells."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from uvicorn._types import ASGISendCallable

from tests.servers import HANG, READ, Background, Scripted, Seen, eventually, predicting, refusing, reply, whole
from tests.wire import Client, call, request
from tests.workers import BODY, Scene, target

REJECTION = b"the model crashed"


@pytest.fixture(params=[400, 404, 422, 429])
def rejecting(scene: Scene, request: pytest.FixtureRequest) -> Scene:
    """A candidate that rejects whatever it gets, and serves all."""

    async def reject(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, REJECTION, request.param)

    scene.candidate.handler = reject
    return scene.ramped(10_000)


def rejected(scene: Scene) -> None:
    """The client got the candidate's own rejection, and nobody is blamed for it."""
    answer = scene.post()
    assert (400 <= answer.status < 500, answer.body) == (True, REJECTION)
    assert answer["x-penstock-variant"] == "candidate"
    assert "x-penstock-fallback" not in answer
    window = scene.window
    assert (window.candidate.answers, window.candidate.errors, window.fallbacks) == (1, {}, 0)
    eventually(scene.worker.idle)


def test_what_the_champion_accepts_is_the_candidates_failure(rejecting: Scene) -> None:
    answer = rejecting.post()
    assert (answer.status, answer.body) == (200, b'{"predictions":[1.0]}')
    assert (answer["x-penstock-variant"], answer["x-penstock-fallback"]) == ("champion", "candidate-error")
    window = rejecting.window
    assert (window.candidate.answers, window.candidate.errors, window.fallbacks) == (1, {"status_4xx": 1}, 1)
    assert (window.champion.answers, window.champion.errors) == (1, {})
    eventually(rejecting.worker.idle)


@pytest.mark.parametrize("status", [302, 400, 500])
def test_what_the_champion_does_not_accept_either_is_the_clients_fault(rejecting: Scene, status: int) -> None:
    rejecting.champion.handler = predicting(status=status)
    rejected(rejecting)
    assert len(rejecting.champion.seen) == 1


@pytest.mark.parametrize("status", [302, 400, 500])
def test_what_the_champion_was_asked_in_doubt_counts_as_its_answer(rejecting: Scene, status: int) -> None:
    """Else it would stay a request that is under way, for ever, and a champion's failure would be nobody's."""
    rejecting.champion.handler = predicting(status=status)
    rejecting.post()
    lane = rejecting.window.champion
    assert (lane.asked, lane.answers, lane.statuses) == (1, 1, {f"{status // 100}xx": 1})
    assert lane.errors == ({"status_5xx": 1} if status == 500 else {})


def test_a_champion_that_fails_leaves_the_rejection_standing(rejecting: Scene) -> None:
    with refusing() as gone:
        rejecting.routed(champion=target("40", gone))
        rejected(rejecting)
        assert rejecting.window.champion.errors == {"connect": 1}


def test_a_model_may_go_without_the_second_opinion(rejecting: Scene) -> None:
    rejected(rejecting.routed(doubt_rejections=False))
    assert rejecting.champion.seen == []


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("DELETE", "/invocations", []),
        ("POST", "/feedback", []),
        ("POST", "/invocations", [("x-penstock-shadow", "off")]),
    ],
    ids=["another method", "another path", "the client's word"],
)
def test_what_must_not_be_done_twice_is_not_asked_twice(
    rejecting: Scene, method: str, path: str, fields: list[tuple[str, str]]
) -> None:
    """What is not to be copied may be a write: asked of the champion as well, it would be made twice."""
    rejecting.routed(shadow=replace(rejecting.route.shadow, paths=("/invocations",)))
    answer = call(rejecting.port, method, path, fields, BODY)
    assert (answer.body, answer["x-penstock-variant"]) == (REJECTION, "candidate")
    assert rejecting.champion.seen == []


def test_a_client_that_leaves_in_between_leaves_nothing_open(scene: Scene, background: Background) -> None:
    asked = asyncio.Event()

    async def never(seen: Seen, send: ASGISendCallable) -> None:
        asked.set()
        await asyncio.sleep(60)

    scene.champion.handler = never
    with Scripted(background, [READ, whole(b"x" * 9, 400)[:-4], HANG]) as upstream:
        scene.ramped(10_000, upstream, timeout=60.0)
        with Client(scene.port) as client:
            client.send(request("POST", "/", (), BODY))
            eventually(asked.is_set)
        eventually(scene.worker.idle)
