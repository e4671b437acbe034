"""What is made of the two answers to a request that was copied."""

from __future__ import annotations

import gzip

import msgspec
import pytest
from uvicorn._types import ASGISendCallable

from proxy.helper.client import Helper
from proxy.pairs import Pair
from proxy.routing import bucket_of
from proxy.snapshot import AgreementSpec
from tests.servers import JSON, Seen, eventually, predicting, reply
from tests.wire import Client
from tests.workers import BODY, Scene

PREDICTED = b'{"predictions":[1.0]}'


@pytest.mark.parametrize("ramp", [0, 10_000])
def test_an_error_inside_a_success_is_the_candidates_failure(scene: Scene, ramp: int) -> None:
    async def sorry(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, b'{"error": "out of memory"}')

    scene.candidate.handler = sorry
    scene.shadowed().routed(ramp_bp=ramp).post()
    scene.settled(1)
    window = scene.window
    assert (window.candidate if ramp else window.candidate_shadow).errors == {"error_in_200": 1}
    assert window.champion.errors == window.champion_shadow.errors == {}
    assert window.agreement.skipped == {"not_both_succeeded": 1}


def test_encoded_answers_reach_the_client_as_they_are_and_are_compared_decoded(scene: Scene) -> None:
    squeezed = gzip.compress(b'{"predictions": [1.0]}')

    async def encoding(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, squeezed, fields=[("content-encoding", "gzip"), ("content-type", "application/json")])

    scene.candidate.handler = encoding
    scene.shadowed().post()
    assert scene.routed(ramp_bp=10_000).post().body == squeezed
    scene.settled(2)
    eventually(lambda: scene.window.agreement.compared == 2)
    agreement = scene.window.agreement
    assert (agreement.compared, agreement.disagreed, agreement.rows) == (2, 0, 2)


def test_long_answers_are_compared_in_the_helper_and_counted_alike(scene: Scene) -> None:
    async def large(seen: Seen, send: ASGISendCallable) -> None:
        start = 1.0 if seen.is_copy else 0.0
        await reply(send, msgspec.json.encode({"predictions": [start, *map(float, range(20_000))]}))

    scene.champion.handler = scene.candidate.handler = large
    scene.shadowed().post()
    scene.settled(1)
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
    scene.shadowed().post()
    scene.settled(1)
    agreement = scene.window.agreement
    assert (agreement.compared, agreement.skipped, agreement.coverage) == (0, {"helper_lost": 1}, 0.0)


def test_beyond_the_budget_pairs_are_counted_and_not_compared(scene: Scene) -> None:
    scene.shadowed().routed(agreement=AgreementSpec(cpu_bp=0))
    for _ in range(5):
        scene.post()
    scene.settled(5)
    agreement = scene.window.agreement
    assert (agreement.compared, agreement.skipped) == (0, {"cpu_budget": 5})
    assert (agreement.comparable, agreement.coverage) == (5, 0.0)


def test_the_budget_never_hides_a_failure(scene: Scene) -> None:
    scene.candidate.handler = predicting(status=400)
    scene.shadowed().routed(agreement=AgreementSpec(cpu_bp=0)).post()
    scene.settled(1)
    assert scene.window.candidate_shadow.errors == {"status_4xx": 1}


@pytest.mark.parametrize("ramp", [0, 10_000])
def test_a_noise_probe_compares_the_champion_with_itself(scene: Scene, ramp: int) -> None:
    """It counts in a tally of its own, and the candidate is asked once."""
    answers = iter([1.0, 5.0])

    async def wavering(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, msgspec.json.encode({"predictions": [next(answers)]}))

    scene.champion.handler = wavering
    scene.shadowed().routed(ramp_bp=ramp, agreement=AgreementSpec(noise_bp=10_000)).post()
    scene.settled(1)
    window = scene.window
    assert (window.noise.compared, window.noise.findings) == (1, {"number": 1})
    assert (window.agreement.compared, window.agreement.disagreed) == (1, 0)
    assert (len(scene.champion.seen), len(scene.candidate.seen)) == (2, 1)
    assert window.champion_shadow.answers == (2 if ramp else 1)


def test_without_noise_probes_the_champion_is_asked_once(scene: Scene) -> None:
    scene.shadowed().post()
    scene.settled(1)
    assert len(scene.champion.seen) == 1
    assert (scene.window.noise.compared, scene.window.noise.skipped) == (0, {})


def test_the_share_that_is_probed_is_drawn_apart_from_the_share_that_is_copied(scene: Scene) -> None:
    """Of those that are copied, a half, and not of one half of the buckets."""
    scene.shadowed(share_bp=5000).routed(agreement=AgreementSpec(noise_bp=5000))
    with Client(scene.port) as client:
        for number in range(400):
            client.request("POST", "/", [JSON, ("x-request-id", f"user-{number}")], BODY)
    copied = sum(bucket_of("shadow:s", b"user-%d" % number) < 5000 for number in range(400))
    scene.settled(copied)
    assert copied * 0.3 < scene.window.noise.compared < copied * 0.7


def test_answers_too_large_to_keep_are_not_compared(scene: Scene) -> None:
    async def large(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, b'"' + b"x" * 100_000 + b'"')

    scene.champion.handler = scene.candidate.handler = large
    scene.shadowed().routed(agreement=AgreementSpec(max_body=50_000))
    assert len(scene.post().body) == 100_002
    scene.settled(1)
    agreement = scene.window.agreement
    assert (agreement.compared, agreement.skipped) == (0, {"body_too_large": 1})
    assert scene.window.candidate_shadow.answers == 1


def test_an_answer_of_exactly_the_most_that_is_kept_is_compared(scene: Scene) -> None:
    scene.shadowed().routed(agreement=AgreementSpec(max_body=len(PREDICTED)))
    scene.post()
    scene.settled(1)
    assert scene.window.agreement.compared == 1
