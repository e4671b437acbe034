from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest
from uvicorn._types import ASGISendCallable

from proxy.routing import bucket_of
from tests.servers import (
    HANG,
    JSON,
    READ,
    RESET,
    Background,
    Script,
    Scripted,
    Seen,
    eventually,
    predicting,
    refusing,
    reply,
    whole,
)
from tests.wire import PATIENCE, Client, call, request
from tests.workers import BODY, Scene, target

PREDICTED = b'{"predictions":[1.0]}'


def test_the_candidate_gets_a_copy_that_is_compared_and_counted(scene: Scene) -> None:
    scene.candidate.handler = predicting(1.0005)
    answer = scene.shadowed().post("/invocations?x=%2F", ("x-tag", "2"), ("x-tag", "1"))
    assert (answer.body, answer["x-penstock-variant"]) == (PREDICTED, "champion")
    scene.settled(1)
    (served,), (copy,) = scene.champion.seen, scene.candidate.seen
    assert (copy.method, copy.target, copy.body) == (served.method, served.target, served.body)
    assert copy["x-penstock-shadow"] == "1"
    assert copy["host"] == scene.candidate.origin.authority
    own = ("host", "x-penstock-shadow")
    assert [one for one in copy.fields if one[0] not in own] == [one for one in served.fields if one[0] != "host"]
    window = scene.window
    assert (window.champion.answers, window.candidate_shadow.answers, window.candidate.answers) == (1, 1, 0)
    assert (window.agreement.compared, window.agreement.disagreed, window.agreement.rows) == (1, 0, 1)
    assert 0.0004 < window.agreement.largest_gap < 0.0006


def test_a_disagreement_is_counted_by_what_it_is(scene: Scene) -> None:
    scene.candidate.handler = predicting(2.0)
    scene.shadowed().post()
    scene.settled(1)
    agreement = scene.window.agreement
    assert (agreement.compared, agreement.disagreed, agreement.findings) == (1, 1, {"number": 1})


def test_while_the_candidate_serves_the_champion_gets_the_copy(scene: Scene) -> None:
    scene.candidate.handler = predicting(7.0)
    answer = scene.shadowed().routed(ramp_bp=10_000).post()
    assert msgspec.json.decode(answer.body) == {"predictions": [7.0]}
    scene.settled(1)
    assert [seen.is_copy for seen in scene.champion.seen] == [True]
    window = scene.window
    assert (window.candidate.answers, window.champion_shadow.answers, window.champion.answers) == (1, 1, 0)
    assert window.agreement.disagreed == 1


@pytest.mark.parametrize("ramp", [0, 10_000])
def test_a_candidate_that_rejects_what_the_champion_takes_has_failed(scene: Scene, ramp: int) -> None:
    scene.candidate.handler = predicting(status=400)
    scene.shadowed().routed(ramp_bp=ramp, doubt_rejections=False).post()
    scene.settled(1)
    lane = scene.window.candidate if ramp else scene.window.candidate_shadow
    assert (lane.answers, lane.statuses, lane.errors) == (1, {"4xx": 1}, {"status_4xx": 1})
    assert scene.window.agreement.skipped == {"not_both_succeeded": 1}


def test_what_both_reject_is_nobodys_failure(scene: Scene) -> None:
    scene.champion.handler = scene.candidate.handler = predicting(status=400)
    scene.shadowed().post()
    scene.settled(1)
    assert scene.window.candidate_shadow.errors == {}


@pytest.mark.parametrize("share", [0, 1000, 5000])
def test_the_share_that_is_copied_is_exact_by_bucket(scene: Scene, share: int) -> None:
    scene.shadowed(share_bp=share)
    users = [f"user-{number}" for number in range(100)]
    with Client(scene.port) as client:
        for user in users:
            assert client.request("POST", "/", [JSON, ("x-request-id", user)], BODY).status == 200
    due = {user for user in users if bucket_of("shadow:s", user.encode()) < share}
    scene.settled(len(due))
    assert {seen["x-request-id"] for seen in scene.candidate.seen} == due


def test_only_declared_methods_are_copied(scene: Scene) -> None:
    scene.shadowed(methods=("POST", "PATCH"))
    for method in ("GET", "PUT", "DELETE", "PATCH", "POST"):
        assert call(scene.port, method, "/", [JSON], BODY).status == 200
    scene.settled(2)
    assert sorted(seen.method for seen in scene.candidate.seen) == ["PATCH", "POST"]


def test_only_declared_paths_are_copied(scene: Scene) -> None:
    scene.shadowed(paths=("/invocations", ":predict"))
    for path in ("/", "/invocations?x=/", "/m/invocations", "/v1/models/m:predict", "/invocations/feedback", "/v1"):
        assert scene.post(path).status == 200
    scene.settled(3)
    assert sorted(seen.target for seen in scene.candidate.seen) == [
        b"/invocations?x=/",
        b"/m/invocations",
        b"/v1/models/m:predict",
    ]


def test_a_copy_asks_for_the_host_as_it_is_configured(scene: Scene) -> None:
    """A host with something added, as other mirrors make it, finds no virtual host."""
    scene.shadowed().post()
    scene.settled(1)
    (copy,) = scene.candidate.seen
    assert (copy["host"], copy["x-penstock-shadow"]) == (scene.candidate.origin.authority, "1")


def test_a_client_may_opt_out(scene: Scene) -> None:
    scene.shadowed().post("/", ("x-penstock-shadow", "off"))
    scene.shadowed().post("/", ("x-penstock-shadow", "on"))
    scene.settled(1)
    assert len(scene.candidate.seen) == 1


FAILING: dict[str, tuple[Script, str]] = {
    "closing": ([READ], "closed"),
    "resetting": ([READ, RESET], "closed"),
    "hanging": ([READ, HANG], "timeout"),
    "hanging in its body": ([READ, b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", HANG], "timeout"),
    "malformed": ([READ, b"nonsense\r\n\r\n"], "malformed"),
    "erring": ([READ, whole(b"sorry", 500)], "status_5xx"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_candidate_changes_nothing_and_is_counted_and_tried_once(
    background: Background, scene: Scene, name: str
) -> None:
    script, code = FAILING[name]
    with Scripted(background, script) as upstream, Client(scene.port) as client:
        scene.shadowed(upstream, timeout=0.3 if code == "timeout" else PATIENCE)
        for _ in range(3):
            answer = client.request("POST", "/", [JSON], BODY)
            assert (answer.status, answer.body) == (200, PREDICTED)
            assert "x-penstock-fallback" not in answer
        assert scene.settled(3).sent == 3
        assert upstream.connections == 3
    window = scene.window
    assert (window.candidate_shadow.answers, window.candidate_shadow.errors) == (3, {code: 3})
    assert (window.champion.answers, window.champion.errors, window.fallbacks) == (3, {}, 0)


def test_a_refusing_candidate_changes_nothing_and_is_counted(scene: Scene) -> None:
    with refusing() as origin:
        assert scene.shadowed(origin).post().body == PREDICTED
        scene.settled(1)
    assert scene.window.candidate_shadow.errors == {"connect": 1}


def test_a_slow_candidate_holds_nothing_up_and_the_drops_add_up(background: Background, scene: Scene) -> None:
    """Not one of its answers comes before all of the champion's have been read."""
    held = asyncio.Event()

    async def holding(seen: Seen, send: ASGISendCallable) -> None:
        await held.wait()
        await reply(send, PREDICTED)

    scene.candidate.handler = holding
    scene.shadowed(max_in_flight=10)
    with Client(scene.port) as client:
        client.send(request("POST", "/", [JSON], BODY) * 200)
        assert [client.read().body for _ in range(200)] == [PREDICTED] * 200
    assert scene.window.champion.answers == 200
    assert scene.window.candidate_shadow.answers == 0
    background.call(held.set)
    tally = scene.settled(200)
    assert (tally.sent, tally.dropped) == (10, {"in_flight": 190})
    assert len(scene.candidate.seen) == scene.window.candidate_shadow.answers == 10


def test_the_bytes_that_copies_hold_are_bounded(background: Background, scene: Scene) -> None:
    held = asyncio.Event()

    async def holding(seen: Seen, send: ASGISendCallable) -> None:
        await held.wait()
        await reply(send, PREDICTED)

    scene.candidate.handler = holding
    scene.shadowed(max_bytes=25_000)
    for _ in range(6):
        scene.post(body=b"x" * 10_000)
    background.call(held.set)
    tally = scene.settled(6)
    assert (tally.sent, tally.dropped) == (2, {"bytes": 4})
    scene.post(body=b"x" * 10_000)
    assert scene.settled(7).sent == 3, "what has ended holds nothing"


def test_what_the_shadows_answer_is_within_the_bound_as_well(background: Background, scene: Scene) -> None:
    """However much each of them may answer: what finds no room is given up, and its pair is counted by the reason."""
    held, large = asyncio.Event(), b" " * 100_000

    async def holding(seen: Seen, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": False})
        await send({"type": "http.response.body", "body": PREDICTED + large, "more_body": True})
        await held.wait()
        await send({"type": "http.response.body", "body": large, "more_body": False})

    scene.candidate.handler = holding
    scene.shadowed(max_bytes=250_000)
    for number in range(6):
        scene.post()
        eventually(lambda: len(scene.candidate.seen) > number)  # noqa: B023 - it is called in this turn
    load = scene.worker.worker.mirror.loads["m"]
    eventually(lambda: scene.window.candidate_shadow.answers == 4)
    eventually(lambda: load.bytes > 200_000 and load.copies == 2)
    assert load.bytes <= 250_000
    background.call(held.set)
    scene.settled(6)
    window = scene.window
    assert load.bytes == 0
    assert window.agreement.skipped["body_too_large"] >= 4
    assert (window.candidate_shadow.answers, window.candidate_shadow.errors) == (6, {})


def test_the_bounds_are_each_models_own(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, HANG]) as stuck:
        scene.shadowed(stuck, max_in_flight=1)
        other = replace(scene.route, model="n", path_prefix="/n", candidate=target("42", scene.candidate))
        scene.worker.route(scene.route, other)
        for sent in range(1, 4):
            scene.post("/")
            scene.post("/n")
            eventually(lambda: scene.worker.window(other).shadow.sent == sent)  # noqa: B023 - it is called in this turn
            eventually(lambda: not scene.worker.worker.mirror.loads["n"].copies)
        assert scene.window.shadow.dropped == {"in_flight": 2}
        assert scene.worker.window(other).shadow.sent == 3


def test_a_client_that_leaves_leaves_its_copy_behind(background: Background, scene: Scene) -> None:
    """What it was answered is compared all the same."""
    held = asyncio.Event()

    async def holding(seen: Seen, send: ASGISendCallable) -> None:
        await held.wait()
        await reply(send, PREDICTED)

    scene.candidate.handler = holding
    scene.shadowed().post()
    eventually(lambda: scene.candidate.seen)
    background.call(held.set)
    scene.settled(1)
    assert scene.window.agreement.compared == 1


def test_finishing_lets_copies_end_and_cancels_what_does_not(background: Background, scene: Scene) -> None:
    stopping = asyncio.Event()

    async def holding(seen: Seen, send: ASGISendCallable) -> None:
        if seen.target == b"/never":
            await asyncio.sleep(PATIENCE)
        await stopping.wait()
        await reply(send, PREDICTED)

    async def finish() -> None:
        background.loop.call_later(0.1, stopping.set)
        await scene.worker.worker.mirror.finish(2.0)

    scene.candidate.handler = holding
    scene.shadowed().post("/soon")
    scene.post("/never")
    eventually(lambda: len(scene.candidate.seen) == 2)
    background.run(finish())
    scene.settled(2)
    assert scene.window.candidate_shadow.answers == 1
