from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest
from uvicorn._types import ASGISendCallable

from proxy import snapshot
from proxy.routing import bucket_of
from proxy.snapshot import ModelRoute, Phase, ShadowPolicy, Snapshot, Sticky
from proxy.window import Window
from tests.servers import (
    JSON,
    Background,
    ModelServer,
    Seen,
    eventually,
    listening_socket,
    origin_of,
    predicting,
    refusing,
    reply,
)
from tests.wire import PATIENCE, Client, Reply, call, request
from tests.workers import BODY, ROOT, ControlEnd, Fleet, WorkerProcess, target

PREDICTED = b'{"predictions":[1.0]}'


@pytest.fixture
def champion(background: Background) -> Iterator[ModelServer]:
    with ModelServer(background) as server:
        yield server


@pytest.fixture
def candidate(background: Background) -> Iterator[ModelServer]:
    with ModelServer(background) as server:
        yield server


@pytest.fixture
def control(background: Background) -> Iterator[ControlEnd]:
    with ControlEnd(background) as end:
        yield end


def _route(name: str, champion: ModelServer, candidate: ModelServer | None = None) -> ModelRoute:
    """A route of its own for each test, at /name; no deadline of it is one that a busy machine misses."""
    trial = target("42", candidate) if candidate else None
    patient = ShadowPolicy(timeout=PATIENCE)
    return ModelRoute(name, f"/{name}", target("40", champion), trial, salt="s", timeout=PATIENCE, shadow=patient)


# Serving


def test_the_champion_serves_and_the_candidates_copy_is_compared_and_counted(
    fleet: Fleet, champion: ModelServer, candidate: ModelServer
) -> None:
    candidate.handler = predicting(3.0)
    route = _route("shadowed", champion, candidate)
    fleet.deploy(route)
    asked = 0
    while fleet.control.window("shadowed").agreement.compared < 20:  # a busy worker holds some of the copies back
        for _ in range(20):
            answer = call(fleet.port, "POST", "/shadowed/invocations?a=%2F&b", [JSON], BODY)
            assert (answer.status, answer.body, answer["x-penstock-variant"]) == (200, PREDICTED, "champion")
        asked += 20
        window = fleet.window(route, partial(_all_met, asked))
    shadow, agreement = window.shadow, window.agreement
    assert (window.champion.answers, shadow.offered, shadow.sent + sum(shadow.dropped.values())) == (asked,) * 3
    assert window.candidate_shadow.answers == shadow.sent
    assert agreement.disagreed == agreement.compared
    assert {(seen.target, seen.body) for seen in champion.seen + candidate.seen} == {
        (b"/shadowed/invocations?a=%2F&b", BODY)
    }


def _all_met(asked: int, window: Window) -> bool:
    """Whether so many requests are counted, and each of their copies has met its end."""
    pairs = window.agreement.compared + sum(window.agreement.skipped.values())
    return window.shadow.offered == asked and pairs == window.shadow.sent


def test_the_ramp_is_exact_by_bucket_and_sticky(fleet: Fleet, champion: ModelServer, candidate: ModelServer) -> None:
    users = [f"user-{number}" for number in range(200)]
    route = replace(
        _route("ramped", champion, candidate),
        ramp_bp=2500,
        sticky=Sticky("header", "x-user-id"),
        shadow=ShadowPolicy(share_bp=0),
    )
    due = ["candidate" if bucket_of("s", user.encode()) < 2500 else "champion" for user in users]
    fleet.deploy(route)
    for _ in range(2):
        served = [call(fleet.port, "POST", "/ramped", [("x-user-id", user)], BODY) for user in users]
        assert [answer["x-penstock-variant"] for answer in served] == due
    window = fleet.window(route, lambda window: window.champion.answers + window.candidate.answers == 400)
    assert window.candidate.answers == 2 * due.count("candidate") == len(candidate.seen)


def test_a_candidate_that_is_gone_is_answered_for(fleet: Fleet, champion: ModelServer) -> None:
    with refusing() as origin:
        route = replace(_route("shield", champion), candidate=target("42", origin), ramp_bp=10_000)
        fleet.deploy(route)
        answers = [call(fleet.port, "POST", "/shield", [JSON], BODY) for _ in range(10)]
    assert {(one.status, one.body, one["x-penstock-fallback"]) for one in answers} == {
        (200, PREDICTED, "candidate-error")
    }
    window = fleet.window(route, lambda window: window.fallbacks == 10)
    assert window.candidate.errors == {"connect": 10}


def test_the_outside_faces(fleet: Fleet, champion: ModelServer, candidate: ModelServer) -> None:
    route = replace(_route("faced", champion, candidate), phase=Phase.RAMP, ramp_bp=500, epoch=3)
    published = fleet.deploy(route)
    assert call(fleet.port, "GET", "/-/live").status == 200
    assert call(fleet.port, "GET", "/-/ready").status == 200
    health = msgspec.json.decode(call(fleet.port, "GET", "/-/health").body)
    assert health["generation"] == published.generation
    told = {"champion": "40", "candidate": "42", "phase": "ramp", "ramp_percent": 5.0, "generation": 3}
    servers = {"known": 1, "passed_over": 0}
    assert health["models"]["faced"] == {**told, "servers": {"40": servers, "42": servers}}
    assert call(fleet.port, "GET", "/unknown/path").status == 404
    answer = call(fleet.port, "GET", "/faced", [("x-request-id", "mine")])
    assert (answer["x-request-id"], answer["x-penstock-model"]) == ("mine", "faced")


def test_new_snapshots_lose_no_request(
    fleet: Fleet, background: Background, champion: ModelServer, candidate: ModelServer
) -> None:
    """Under constant traffic the champion changes again and again; once a change is acknowledged, it holds."""
    versions = {"40": champion, "41": candidate}
    candidate.handler = predicting("new")
    bodies = {"40": PREDICTED, "41": b'{"predictions":["new"]}'}
    route = _route("changing", champion)
    fleet.deploy(route)
    stop = threading.Event()

    def traffic() -> list[Reply]:
        replies = []
        with Client(fleet.port) as client:
            while not stop.is_set():
                replies.append(client.request("POST", "/changing", [JSON], BODY))
        return replies

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(traffic) for _ in range(4)]
        try:
            for epoch in range(1, 11):
                version = ("40", "41")[epoch % 2]
                route = replace(route, champion=target(version, versions[version]), epoch=epoch)
                fleet.deploy(route)
                assert call(fleet.port, "POST", "/changing", [JSON], BODY)["x-penstock-version"] == version
        finally:
            stop.set()
        replies = [one for future in running for one in future.result(PATIENCE)]
    assert {one.status for one in replies} == {200}
    assert all(one.body == bodies[one["x-penstock-version"]] for one in replies)
    epochs = [replace(route, epoch=epoch) for epoch in range(11)]
    due = len(replies) + 10
    eventually(lambda: sum(fleet.control.window(one.model, one.epoch).champion.answers for one in epochs) == due)
    assert len(champion.seen) + len(candidate.seen) == due


def test_serving_goes_on_without_the_control_plane_and_no_window_is_lost(
    tmp_path: Path, control: ControlEnd, champion: ModelServer
) -> None:
    route = _route("m", champion)
    control.publish(Snapshot(1, (route,)))
    with WorkerProcess(control.origin, tmp_path) as worker, Client(worker.port) as client:
        eventually(lambda: control.acknowledged(1))
        for outage in (False, True, False):
            if outage:
                control.stop()
            for _ in range(50):
                assert client.request("POST", "/m", [JSON], BODY).status == 200
            if outage:
                control.start()
        eventually(lambda: control.window("m").champion.answers == 150)


# Starting


def test_a_worker_starts_from_its_cache_alone(tmp_path: Path, champion: ModelServer) -> None:
    with refusing() as gone, WorkerProcess(gone, tmp_path, Snapshot(5, (_route("m", champion),))) as worker:
        assert call(worker.port, "GET", "/-/ready").status == 200
        assert call(worker.port, "POST", "/m", [JSON], BODY).body == PREDICTED


def test_what_a_worker_adopts_is_there_for_the_next_one(
    tmp_path: Path, control: ControlEnd, champion: ModelServer
) -> None:
    published = Snapshot(5, (_route("m", champion),))
    control.publish(published)
    with WorkerProcess(control.origin, tmp_path) as worker:
        eventually(lambda: control.acknowledged(5))
        assert snapshot.decode(worker.cache.read_bytes()) == published
    with refusing() as gone, WorkerProcess(gone, tmp_path) as worker:
        assert call(worker.port, "POST", "/m", [JSON], BODY).body == PREDICTED


def test_a_worker_with_a_damaged_cache_waits_for_the_control_plane(
    tmp_path: Path, control: ControlEnd, champion: ModelServer
) -> None:
    (tmp_path / "snapshot.json").write_bytes(b'{"generation": 5, "routes": [')
    with WorkerProcess(control.origin, tmp_path) as worker:
        assert call(worker.port, "GET", "/-/ready").status == 503
        assert call(worker.port, "POST", "/m", [JSON], BODY).status == 503
        assert str(worker.cache) in worker.log
        control.publish(Snapshot(6, (_route("m", champion),)))
        eventually(lambda: call(worker.port, "GET", "/-/ready").status == 200)
        assert call(worker.port, "POST", "/m", [JSON], BODY).body == PREDICTED


def test_workers_share_an_inherited_socket(tmp_path: Path, control: ControlEnd, champion: ModelServer) -> None:
    """Both acknowledge, both answer, and their windows add up."""
    control.publish(Snapshot(1, (_route("m", champion),)))
    with listening_socket() as shared, ExitStack() as started:
        port = origin_of(shared).port
        arguments = ["--control", f"http://{control.origin.authority}", "--fd", str(shared.fileno())]
        for number in range(2):
            log = started.enter_context((tmp_path / f"{number}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "proxy", *arguments], cwd=ROOT, pass_fds=[shared.fileno()], stderr=log
            )
            started.callback(process.wait, PATIENCE)
            started.callback(process.kill)
        eventually(lambda: len({worker for worker, held in control.polls if held == 1}) == 2)
        asked = 0
        while len({push.worker for push in list(control.pushes)}) < 2:  # the kernel deals out the connections
            with ExitStack() as crowd:
                clients = [crowd.enter_context(Client(port)) for _ in range(20)]
                assert {client.request("POST", "/m", [JSON], BODY).status for client in clients} == {200}
            asked += len(clients)
        eventually(lambda: control.window("m").champion.answers == asked)


def test_a_usage_error_exits_with_3() -> None:
    done = subprocess.run([sys.executable, "-m", "proxy"], cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout[:6]) == (3, b"usage:")


def test_a_worker_loads_nothing_of_the_control_plane() -> None:
    program = "import sys, proxy.app; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, timeout=60)
    loaded = set(done.stdout.decode().split())
    assert "proxy" in loaded
    foreign = {
        "gates",
        "mlflow",
        "sqlalchemy",
        "starlette",
        "pydantic",
        "httpx2",
        "prometheus_client",
        "typer",
        "numpy",
    }
    assert not loaded & foreign


# Stopping


def test_sigterm_answers_what_is_under_way_and_pushes_the_last_windows(
    background: Background, tmp_path: Path, control: ControlEnd, champion: ModelServer, candidate: ModelServer
) -> None:
    held = asyncio.Event()

    async def holding(seen: Seen, send: ASGISendCallable) -> None:
        if seen.target == b"/m/held":
            await held.wait()
        await reply(send, PREDICTED)

    async def holding_longer(seen: Seen, send: ASGISendCallable) -> None:
        if seen.target == b"/m/held":
            await asyncio.sleep(0.2)
        await holding(seen, send)

    champion.handler, candidate.handler = holding, holding_longer
    control.publish(Snapshot(1, (_route("m", champion, candidate),)))
    with WorkerProcess(control.origin, tmp_path) as worker, ExitStack() as clients:
        eventually(lambda: control.acknowledged(1))
        idle, busy, active = (clients.enter_context(Client(worker.port)) for _ in range(3))
        assert idle.request("POST", "/m", [JSON], BODY).status == 200
        busy.send(request("POST", "/m/held", [JSON], BODY))
        eventually(lambda: len(champion.served()) == 2)
        worker.signal()
        answered = 0
        last = active.request("POST", "/m", [JSON], BODY)
        while "connection" not in last:
            answered += 1
            last = active.request("POST", "/m", [JSON], BODY)
        assert (last.status, last["connection"]) == (200, "close")
        assert active.ended(), "closed in order, after its answer"
        assert idle.ended(), "closed in order, and not before its time"
        with pytest.raises(ConnectionRefusedError):
            Client(worker.port)
        background.call(held.set)
        late = busy.read("POST")
        assert (late.status, late.body, late["connection"]) == (200, PREDICTED, "close")
        assert busy.ended()
        assert worker.wait() == 0
    window = control.window("m")
    assert window.champion.answers == len(champion.seen) == answered + 3
    assert window.shadow.offered == answered + 3
    assert window.agreement.compared == window.shadow.sent > 0


def test_an_idle_client_may_still_ask_once_while_the_worker_drains(
    tmp_path: Path, control: ControlEnd, champion: ModelServer
) -> None:
    control.publish(Snapshot(1, (_route("m", champion),)))
    with WorkerProcess(control.origin, tmp_path) as worker, Client(worker.port) as client:
        eventually(lambda: control.acknowledged(1))
        ready = client.request("GET", "/-/ready")
        assert (ready.status, "connection" in ready) == (200, False)
        worker.signal()
        while ready.status == 200:
            ready = client.request("GET", "/-/ready")
        assert (ready.status, ready["connection"]) == (503, "close")
        assert worker.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_a_control_plane_a_worker_stops_all_the_same(
    tmp_path: Path, champion: ModelServer, number: signal.Signals
) -> None:
    with refusing() as gone, WorkerProcess(gone, tmp_path, Snapshot(5, (_route("m", champion),))) as worker:
        assert call(worker.port, "POST", "/m", [JSON], BODY).status == 200
        worker.signal(number)
        assert worker.wait() == 0
