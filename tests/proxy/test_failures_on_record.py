"""Requests that the candidate alone failed, copied or to be served, stand on record beside pairs that differ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from uvicorn._types import ASGISendCallable

from proxy.disagreements import AnswerOnRecord, Disagreement
from proxy.snapshot import Origin, RecordPolicy
from tests.servers import (
    HANG,
    READ,
    RESET,
    Background,
    ModelServer,
    Script,
    Scripted,
    Seen,
    eventually,
    predicting,
    refusing,
    reply,
    whole,
)
from tests.wire import PATIENCE
from tests.workers import Scene, target

PREDICTED = b'{"predictions":[1.0]}'
FAILING: dict[str, tuple[Script, str, AnswerOnRecord]] = {
    "silent": ([READ, HANG], "timeout", AnswerOnRecord("42", 0, "")),
    "closing": ([READ], "closed", AnswerOnRecord("42", 0, "")),
    "resetting": ([READ, RESET], "closed", AnswerOnRecord("42", 0, "")),
    "talking nonsense": ([READ, b"nonsense\r\n\r\n"], "malformed", AnswerOnRecord("42", 0, "")),
    "erring": ([READ, whole(b"{}", 500)], "status_5xx", AnswerOnRecord("42", 500, "{}")),
}


def shadowed(
    scene: Scene, server: ModelServer | Scripted | Origin | None = None, keep: int = 5, deadline: float = PATIENCE
) -> Scene:
    return scene.shadowed(server, timeout=deadline).routed(record=RecordPolicy(keep, fields=("**.ssn",)))


def deadline_of(finding: str) -> float:
    """Short where it is to pass, though a busy champion must keep it."""
    return 1.0 if finding == "timeout" else PATIENCE


def on_record(scene: Scene, offered: int) -> list[Disagreement]:
    """What was chosen, once every copy has met its end."""
    scene.settled(offered)
    return list(scene.worker.worker.windows.reservoir.next())


def served_instead(scene: Scene) -> list[Disagreement]:
    """What was chosen of one request that the champion answered for the candidate: none of it is copied."""
    eventually(lambda: scene.window.fallbacks == 1)
    eventually(scene.worker.idle)
    assert scene.window.shadow.offered == 0
    return list(scene.worker.worker.windows.reservoir.next())


@pytest.mark.parametrize("name", FAILING)
def test_a_copy_that_failed_is_on_record_with_what_the_champion_answered(
    background: Background, scene: Scene, name: str
) -> None:
    script, finding, candidate = FAILING[name]
    with Scripted(background, script) as upstream:
        shadowed(scene, upstream, deadline=deadline_of(finding)).post("/invocations", ("x-request-id", "r-7"))
        (record,) = on_record(scene, 1)
    assert (record.finding, record.request_id, record.path) == (finding, "r-7", "/invocations")
    assert (record.champion, record.candidate) == (AnswerOnRecord("40", 200, PREDICTED.decode()), candidate)
    assert (record.served, record.severity, record.row) == ("champion", 1.0, None)


@pytest.mark.parametrize("name", FAILING)
def test_a_request_that_the_candidate_was_to_serve_is_on_record_with_what_the_champion_answered_instead(
    background: Background, scene: Scene, name: str
) -> None:
    script, finding, candidate = FAILING[name]
    with Scripted(background, script) as upstream:
        serving = shadowed(scene, upstream).routed(ramp_bp=10_000, timeout=deadline_of(finding))
        serving.post("/invocations", ("x-request-id", "r-7"))
        (record,) = served_instead(scene)
    assert (record.finding, record.request_id, record.path) == (finding, "r-7", "/invocations")
    assert (record.champion, record.candidate) == (AnswerOnRecord("40", 200, PREDICTED.decode()), candidate)
    assert (record.served, record.severity, record.row) == ("champion", 1.0, None)


def test_so_is_one_that_it_rejects_and_the_champion_accepts(scene: Scene) -> None:
    scene.candidate.handler = predicting(1.0, status=422)
    shadowed(scene).routed(ramp_bp=10_000).post()
    (record,) = served_instead(scene)
    assert (record.finding, record.champion.status) == ("status_4xx", 200)
    assert record.candidate == AnswerOnRecord("42", 422, PREDICTED.decode())


def test_a_request_that_the_champion_fails_as_well_leaves_no_record(scene: Scene) -> None:
    scene.champion.handler = answering(503)
    with refusing() as nobody:
        shadowed(scene, nobody).routed(ramp_bp=10_000).post()
        assert served_instead(scene) == []


def test_what_must_not_be_kept_is_not_kept_of_a_failure_either(scene: Scene) -> None:
    with refusing() as nobody:
        shadowed(scene, nobody).post(body=b'{"customer":{"ssn":"078-05-1120"},"x":1}')
        (record,) = on_record(scene, 1)
    assert record.finding == "connect"
    assert record.request == '{"customer":{"ssn":"[redacted]"},"x":1}'


def test_failures_take_no_room_from_pairs_that_differ(scene: Scene) -> None:
    answered: list[int] = []

    async def mostly_failing(seen: Seen, send: ASGISendCallable) -> None:
        answered.append(1)
        differs = len(answered) == 1
        await reply(send, b'{"predictions":[9.0]}' if differs else b"sorry", status=200 if differs else 503)

    scene.candidate.handler = mostly_failing
    shadowed(scene, keep=2)
    for _ in range(3):
        scene.post()
    records = on_record(scene, 3)
    assert sorted(record.finding for record in records) == ["number", "status_5xx", "status_5xx"]


def answering(status: int) -> Callable[[Seen, ASGISendCallable], Awaitable[None]]:
    async def answer(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, PREDICTED, status=status)

    return answer


@pytest.mark.parametrize("status", [404, 503])
def test_what_the_champion_has_not_answered_either_is_no_failure_of_the_candidate(scene: Scene, status: int) -> None:
    scene.champion.handler = answering(status)
    with refusing() as nobody:
        shadowed(scene, nobody).post()
        assert on_record(scene, 1) == []


def test_a_champion_that_fails_a_copy_leaves_no_record(scene: Scene) -> None:
    scene.candidate.handler = predicting(7.0)
    with refusing() as nobody:
        shadowed(scene).routed(champion=target("40", nobody), ramp_bp=10_000).post()
        assert on_record(scene, 1) == []


def test_nothing_is_recorded_where_the_record_is_off(scene: Scene) -> None:
    with refusing() as nobody:
        shadowed(scene, nobody, keep=0).post()
        assert on_record(scene, 1) == []
