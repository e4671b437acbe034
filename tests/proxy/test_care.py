"""What keeps a model's servers well: how much they get at once, and no copies while they fail."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace

import msgspec
from uvicorn._types import ASGISendCallable

from proxy.snapshot import HealthProbe
from tests.servers import HANG, READ, Background, ModelServer, Scripted, Seen, eventually, predicting, refusing
from tests.wire import Client, request
from tests.workers import BODY, Scene, passed_over, target

# The limit of what is under way


def test_what_is_over_the_limit_is_told_to_come_again(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, HANG]) as busy, ExitStack() as crowd:
        scene.routed(champion=target("40", busy), timeout=60.0, max_concurrent=3)
        for _ in range(3):
            crowd.enter_context(Client(scene.port)).send(request("POST", "/", (), BODY))
        eventually(lambda: busy.connections == 3)
        answer = scene.post()
        assert (answer.status, answer["retry-after"]) == (503, "1")
        assert msgspec.json.decode(answer.body)["error"] == "busy"
        assert busy.connections == 3
    eventually(lambda: scene.worker.worker.upstreams.connections == 0)
    scene.routed(champion=target("40", scene.champion))
    assert scene.post().status == 200


def test_the_champion_answers_what_is_over_the_candidates_limit(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, HANG]) as busy, Client(scene.port) as waiting:
        scene.ramped(10_000, busy.origin, timeout=60.0, max_concurrent=1)
        waiting.send(request("POST", "/", (), BODY))
        eventually(lambda: busy.connections == 1)
        answer = scene.post()
        assert (answer.status, answer["x-penstock-fallback"]) == (200, "candidate-error")
        assert scene.window.candidate.errors == {"busy": 1}


# Copies for who keeps failing


def dropped(scene: Scene) -> dict[str, int]:
    return scene.window.shadow.dropped


def settled(scene: Scene, copies: int) -> None:
    eventually(lambda: scene.window.candidate_shadow.answers == copies)


def test_copies_to_a_candidate_that_keeps_failing_are_dropped_and_counted(scene: Scene) -> None:
    with refusing() as gone:
        scene.routed(candidate=target("42", gone))
        for number in range(1, 13):
            assert scene.post().status == 200
            settled(scene, number)
    tally = scene.window.shadow
    assert dropped(scene)["ejected"] > 0
    failed = {"connect": tally.sent, "ejected": tally.dropped["ejected"]}
    assert scene.window.candidate_shadow.errors == failed, "an outage is as long as it was"
    assert scene.window.candidate_shadow.latency.total == tally.sent
    assert scene.window.alone.candidate == 12
    assert tally.offered == tally.sent + tally.dropped["ejected"] == 12
    eventually(lambda: scene.post().status == 200 and passed_over(scene.port, "42") == 1)  # each time for a while


def test_copies_go_on_when_the_candidate_is_well_again(scene: Scene, background: Background) -> None:
    async def sulking(seen: Seen, send: ASGISendCallable) -> None:
        await asyncio.sleep(60)

    with ModelServer(background, sulking) as moody:
        shadow = replace(scene.route.shadow, timeout=0.1)
        scene.routed(candidate=target("42", moody), shadow=shadow)
        count = 0
        while not dropped(scene):
            count += 1
            scene.post()
            settled(scene, count)
        moody.handler = predicting(1.0)

        def compared() -> bool:
            scene.post()
            return scene.window.agreement.compared > 0

        eventually(compared)


def test_copies_to_a_candidate_that_is_unwell_by_its_probes_are_dropped(scene: Scene, background: Background) -> None:
    with ModelServer(background, predicting(status=500)) as sick:
        scene.routed(candidate=target("42", sick), health=HealthProbe("/ping", interval=0.02))
        scene.worker.adopt(scene.route)
        eventually(lambda: passed_over(scene.port, "42") == 1)
        assert scene.post().status == 200
        settled(scene, 1)
        assert dropped(scene) == {"ejected": 1}
        assert not sick.copies()
        scene.worker.adopt(replace(scene.route, health=None))
