from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace

import msgspec
import pytest
from uvicorn._types import ASGISendCallable

from proxy.helper.client import Helper
from proxy.pairs import Pair
from proxy.routing import bucket_of
from proxy.snapshot import AgreementSpec, Origin, ShadowPolicy
from proxy.tally import ShadowTally
from tests.servers import (
    HANG,
    JSON,
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
from tests.wire import Client, call, request
from tests.workers import BODY, Scene, target

PREDICTED = b'{"predictions":[1.0]}'


def _shadowed(scene: Scene, server: ModelServer | Scripted | Origin | None = None, **policy: object) -> Scene:
    """The champion serves, and the candidate gets copies."""
    shadow = replace(ShadowPolicy(), **policy)  # type: ignore[arg-type]
    return scene.routed(candidate=target("42", server or scene.candidate), shadow=shadow)


def _settled(scene: Scene, offered: int) -> ShadowTally:
    """The tally, when every copy that was offered has met its end."""
    eventually(lambda: scene.window.shadow.offered == offered)
    eventually(scene.worker.idle)
    tally = scene.window.shadow
    assert tally.offered == tally.sent + sum(tally.dropped.values())
    return tally


def test_the_candidate_gets_a_copy_that_is_compared_and_counted(scene: Scene) -> None:
    scene.candidate.handler = predicting(1.0005)
    answer = _shadowed(scene).post("/invocations?x=%2F", ("x-tag", "2"), ("x-tag", "1"))
    assert (answer.body, answer["x-penstock-variant"]) == (PREDICTED, "champion")
    _settled(scene, 1)
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
    _shadowed(scene).post()
    _settled(scene, 1)
    agreement = scene.window.agreement
    assert (agreement.compared, agreement.disagreed, agreement.findings) == (1, 1, {"number": 1})


def test_while_the_candidate_serves_the_champion_gets_the_copy(scene: Scene) -> None:
    scene.candidate.handler = predicting(7.0)
    answer = _shadowed(scene).routed(ramp_bp=10_000).post()
    assert msgspec.json.decode(answer.body) == {"predictions": [7.0]}
    _settled(scene, 1)
    assert [seen.is_copy for seen in scene.champion.seen] == [True]
    window = scene.window
    assert (window.candidate.answers, window.champion_shadow.answers, window.champion.answers) == (1, 1, 0)
    assert window.agreement.disagreed == 1


@pytest.mark.parametrize("ramp", [0, 10_000])
def test_a_candidate_that_rejects_what_the_champion_takes_has_failed(scene: Scene, ramp: int) -> None:
    scene.candidate.handler = predicting(status=400)
    _shadowed(scene).routed(ramp_bp=ramp, doubt_rejections=False).post()
    _settled(scene, 1)
    lane = scene.window.candidate if ramp else scene.window.candidate_shadow
    assert (lane.answers, lane.statuses, lane.errors) == (1, {"4xx": 1}, {"status_4xx": 1})
    assert scene.window.agreement.skipped == {"not_both_succeeded": 1}


def test_what_both_reject_is_nobodys_failure(scene: Scene) -> None:
    scene.champion.handler = scene.candidate.handler = predicting(status=400)
    _shadowed(scene).post()
    _settled(scene, 1)
    assert scene.window.candidate_shadow.errors == {}


@pytest.mark.parametrize("share", [0, 1000, 5000])
def test_the_share_that_is_copied_is_exact_by_bucket(scene: Scene, share: int) -> None:
    _shadowed(scene, share_bp=share)
    users = [f"user-{number}" for number in range(100)]
    with Client(scene.port) as client:
        for user in users:
            assert client.request("POST", "/", [JSON, ("x-request-id", user)], BODY).status == 200
    due = {user for user in users if bucket_of("shadow:s", user.encode()) < share}
    _settled(scene, len(due))
    assert {seen["x-request-id"] for seen in scene.candidate.seen} == due


def test_only_declared_methods_are_copied(scene: Scene) -> None:
    _shadowed(scene, methods=("POST", "PATCH"))
    for method in ("GET", "PUT", "DELETE", "PATCH", "POST"):
        assert call(scene.port, method, "/", [JSON], BODY).status == 200
    _settled(scene, 2)
    assert sorted(seen.method for seen in scene.candidate.seen) == ["PATCH", "POST"]


def test_only_declared_paths_are_copied(scene: Scene) -> None:
    _shadowed(scene, paths=("/invocations", ":predict"))
    for path in ("/", "/invocations?x=/", "/m/invocations", "/v1/models/m:predict", "/invocations/feedback", "/v1"):
        assert scene.post(path).status == 200
    _settled(scene, 3)
    assert sorted(seen.target for seen in scene.candidate.seen) == [
        b"/invocations?x=/",
        b"/m/invocations",
        b"/v1/models/m:predict",
    ]


def test_a_copy_asks_for_the_host_as_it_is_configured(scene: Scene) -> None:
    """A host with something added, as other mirrors make it, finds no virtual host."""
    _shadowed(scene).post()
    _settled(scene, 1)
    (copy,) = scene.candidate.seen
    assert (copy["host"], copy["x-penstock-shadow"]) == (scene.candidate.origin.authority, "1")


def test_a_client_may_opt_out(scene: Scene) -> None:
    _shadowed(scene).post("/", ("x-penstock-shadow", "off"))
    _shadowed(scene).post("/", ("x-penstock-shadow", "on"))
    _settled(scene, 1)
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
        _shadowed(scene, upstream, timeout=0.3)
        for _ in range(3):
            answer = client.request("POST", "/", [JSON], BODY)
            assert (answer.status, answer.body) == (200, PREDICTED)
            assert "x-penstock-fallback" not in answer
        assert _settled(scene, 3).sent == 3
        assert upstream.connections == 3
    window = scene.window
    assert (window.candidate_shadow.answers, window.candidate_shadow.errors) == (3, {code: 3})
    assert (window.champion.answers, window.champion.errors, window.fallbacks) == (3, {}, 0)


def test_a_refusing_candidate_changes_nothing_and_is_counted(scene: Scene) -> None:
    with refusing() as origin:
        assert _shadowed(scene, origin).post().body == PREDICTED
        _settled(scene, 1)
    assert scene.window.candidate_shadow.errors == {"connect": 1}


def test_a_slow_candidate_holds_nothing_up_and_the_drops_add_up(background: Background, scene: Scene) -> None:
    """Not one of its answers comes before all of the champion's have been read."""
    held = asyncio.Event()

    async def holding(seen: Seen, send: ASGISendCallable) -> None:
        await held.wait()
        await reply(send, PREDICTED)

    scene.candidate.handler = holding
    _shadowed(scene, max_in_flight=10, timeout=20.0)
    with Client(scene.port) as client:
        client.send(request("POST", "/", [JSON], BODY) * 200)
        assert [client.read().body for _ in range(200)] == [PREDICTED] * 200
    assert scene.window.champion.answers == 200
    assert scene.window.candidate_shadow.answers == 0
    background.call(held.set)
    tally = _settled(scene, 200)
    assert (tally.sent, tally.dropped) == (10, {"in_flight": 190})
    assert len(scene.candidate.seen) == scene.window.candidate_shadow.answers == 10


def test_the_bytes_that_copies_hold_are_bounded(background: Background, scene: Scene) -> None:
    held = asyncio.Event()

    async def holding(seen: Seen, send: ASGISendCallable) -> None:
        await held.wait()
        await reply(send, PREDICTED)

    scene.candidate.handler = holding
    _shadowed(scene, max_bytes=25_000, timeout=20.0)
    for _ in range(6):
        scene.post(body=b"x" * 10_000)
    background.call(held.set)
    tally = _settled(scene, 6)
    assert (tally.sent, tally.dropped) == (2, {"bytes": 4})
    scene.post(body=b"x" * 10_000)
    assert _settled(scene, 7).sent == 3, "what has ended holds nothing"


def test_the_bounds_are_each_models_own(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, HANG]) as stuck:
        _shadowed(scene, stuck, max_in_flight=1, timeout=1.0)
        other = replace(scene.route, model="n", path_prefix="/n", candidate=target("42", scene.candidate))
        scene.worker.route(scene.route, other)
        for _ in range(3):
            scene.post("/")
            scene.post("/n")
            eventually(lambda: len(scene.candidate.seen) == scene.worker.window(other).champion.answers)
        assert scene.window.shadow.dropped == {"in_flight": 2}
        assert scene.worker.window(other).shadow.sent == 3


@pytest.mark.parametrize("ramp", [0, 10_000])
def test_an_error_inside_a_success_is_the_candidates_failure(scene: Scene, ramp: int) -> None:
    async def sorry(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, b'{"error": "out of memory"}')

    scene.candidate.handler = sorry
    _shadowed(scene).routed(ramp_bp=ramp).post()
    _settled(scene, 1)
    window = scene.window
    assert (window.candidate if ramp else window.candidate_shadow).errors == {"error_in_200": 1}
    assert window.champion.errors == window.champion_shadow.errors == {}
    assert window.agreement.skipped == {"not_both_succeeded": 1}


def test_encoded_answers_reach_the_client_as_they_are_and_are_compared_decoded(scene: Scene) -> None:
    squeezed = gzip.compress(b'{"predictions": [1.0]}')

    async def encoding(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, squeezed, fields=[("content-encoding", "gzip"), ("content-type", "application/json")])

    scene.candidate.handler = encoding
    _shadowed(scene).post()
    assert scene.routed(ramp_bp=10_000).post().body == squeezed
    _settled(scene, 2)
    eventually(lambda: scene.window.agreement.compared == 2)
    agreement = scene.window.agreement
    assert (agreement.compared, agreement.disagreed, agreement.rows) == (2, 0, 2)


def test_long_answers_are_compared_in_the_helper_and_counted_alike(scene: Scene) -> None:
    async def large(seen: Seen, send: ASGISendCallable) -> None:
        start = 1.0 if seen.is_copy else 0.0
        await reply(send, msgspec.json.encode({"predictions": [start, *map(float, range(20_000))]}))

    scene.champion.handler = scene.candidate.handler = large
    _shadowed(scene).post()
    _settled(scene, 1)
    eventually(lambda: scene.window.agreement.compared == 1)
    agreement = scene.window.agreement
    assert (agreement.rows, agreement.rows_disagreed, agreement.findings) == (20_001, 1, {"number": 1})
    assert scene.window.champion_outputs[""].counted == scene.window.candidate_outputs[""].counted == 64


def test_long_answers_without_a_helper_are_counted_and_not_compared(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(helper: Helper, pair: Pair, counted: bool) -> str:
        return "helper_lost"

    async def large(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, b'{"predictions":[%b1.0]}' % (b"%d.5," % seen.is_copy * 20_000))

    monkeypatch.setattr(Helper, "look_at", nobody)
    scene.champion.handler = scene.candidate.handler = large
    _shadowed(scene).post()
    _settled(scene, 1)
    agreement = scene.window.agreement
    assert (agreement.compared, agreement.skipped, agreement.coverage) == (0, {"helper_lost": 1}, 0.0)


def test_beyond_the_budget_pairs_are_counted_and_not_compared(scene: Scene) -> None:
    _shadowed(scene).routed(agreement=AgreementSpec(cpu_bp=0))
    for _ in range(5):
        scene.post()
    _settled(scene, 5)
    agreement = scene.window.agreement
    assert (agreement.compared, agreement.skipped) == (0, {"cpu_budget": 5})
    assert (agreement.comparable, agreement.coverage) == (5, 0.0)


def test_the_budget_never_hides_a_failure(scene: Scene) -> None:
    scene.candidate.handler = predicting(status=400)
    _shadowed(scene).routed(agreement=AgreementSpec(cpu_bp=0)).post()
    _settled(scene, 1)
    assert scene.window.candidate_shadow.errors == {"status_4xx": 1}


@pytest.mark.parametrize("ramp", [0, 10_000])
def test_a_noise_probe_compares_the_champion_with_itself(scene: Scene, ramp: int) -> None:
    """It counts in a tally of its own, and the candidate is asked once."""
    answers = iter([1.0, 5.0])

    async def wavering(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, msgspec.json.encode({"predictions": [next(answers)]}))

    scene.champion.handler = wavering
    _shadowed(scene).routed(ramp_bp=ramp, agreement=AgreementSpec(noise_bp=10_000)).post()
    _settled(scene, 1)
    window = scene.window
    assert (window.noise.compared, window.noise.findings) == (1, {"number": 1})
    assert (window.agreement.compared, window.agreement.disagreed) == (1, 0)
    assert (len(scene.champion.seen), len(scene.candidate.seen)) == (2, 1)
    assert window.champion_shadow.answers == (2 if ramp else 1)


def test_without_noise_probes_the_champion_is_asked_once(scene: Scene) -> None:
    _shadowed(scene).post()
    _settled(scene, 1)
    assert len(scene.champion.seen) == 1
    assert (scene.window.noise.compared, scene.window.noise.skipped) == (0, {})


def test_the_share_that_is_probed_is_drawn_apart_from_the_share_that_is_copied(scene: Scene) -> None:
    """Of those that are copied, a half, and not of one half of the buckets."""
    _shadowed(scene, share_bp=5000).routed(agreement=AgreementSpec(noise_bp=5000))
    with Client(scene.port) as client:
        for number in range(400):
            client.request("POST", "/", [JSON, ("x-request-id", f"user-{number}")], BODY)
    copied = sum(bucket_of("shadow:s", b"user-%d" % number) < 5000 for number in range(400))
    _settled(scene, copied)
    assert copied * 0.3 < scene.window.noise.compared < copied * 0.7


def test_answers_too_large_to_keep_are_not_compared(scene: Scene) -> None:
    async def large(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, b'"' + b"x" * 100_000 + b'"')

    scene.champion.handler = scene.candidate.handler = large
    _shadowed(scene).routed(agreement=AgreementSpec(max_body=50_000))
    assert len(scene.post().body) == 100_002
    _settled(scene, 1)
    agreement = scene.window.agreement
    assert (agreement.compared, agreement.skipped) == (0, {"body_too_large": 1})
    assert scene.window.candidate_shadow.answers == 1


def test_an_answer_of_exactly_the_most_that_is_kept_is_compared(scene: Scene) -> None:
    _shadowed(scene).routed(agreement=AgreementSpec(max_body=len(PREDICTED)))
    scene.post()
    _settled(scene, 1)
    assert scene.window.agreement.compared == 1


def test_a_client_that_leaves_leaves_its_copy_behind(background: Background, scene: Scene) -> None:
    """What it was answered is compared all the same."""
    held = asyncio.Event()

    async def holding(seen: Seen, send: ASGISendCallable) -> None:
        await held.wait()
        await reply(send, PREDICTED)

    scene.candidate.handler = holding
    _shadowed(scene, timeout=20.0).post()
    eventually(lambda: scene.candidate.seen)
    background.call(held.set)
    _settled(scene, 1)
    assert scene.window.agreement.compared == 1


def test_finishing_lets_copies_end_and_cancels_what_does_not(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, 0.1, whole(PREDICTED), HANG], [READ, HANG]) as upstream:
        _shadowed(scene, upstream, timeout=20.0)
        scene.post()
        scene.post()
        eventually(lambda: upstream.connections == 2)
        background.run(scene.worker.worker.mirror.finish(0.5))
        _settled(scene, 2)
    assert scene.window.candidate_shadow.answers == 1
