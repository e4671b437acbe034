from __future__ import annotations

import time
from contextlib import ExitStack

import msgspec
import pytest

from proxy.snapshot import ShadowPolicy
from tests.servers import (
    HANG,
    JSON,
    READ,
    RESET,
    Background,
    Script,
    Scripted,
    eventually,
    predicting,
    refusing,
    whole,
)
from tests.wire import PATIENCE, Client, CutOff, Reply, call, request
from tests.workers import BODY, LocalWorker, Scene, target

OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = 10 * PATIENCE  # a deadline that cannot be what ended an exchange
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
NINE = OK + b"content-length: 9\r\n\r\n"


# What does not reach an upstream


def _error(answer: Reply) -> tuple[int, str]:
    return answer.status, msgspec.json.decode(answer.body)["error"]


def test_an_unknown_model_is_not_found(scene: Scene) -> None:
    scene.routed(path_prefix="/known")
    assert _error(scene.post("/other")) == (404, "unknown_model")
    assert scene.champion.seen == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_too_large(scene: Scene, chunked: bool) -> None:
    scene.routed(max_body=1000)
    with Client(scene.port) as client:
        if chunked:
            body = b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"
            client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + body)
        else:
            client.send(request("POST", "/", body=b"x" * 1001))
        assert _error(client.read()) == (413, "body_too_large")
        assert client.request("POST", "/", body=b"x" * 1000).status == 200
    assert [len(seen.body) for seen in scene.champion.seen] == [1000]


def test_without_a_snapshot_nothing_is_served(background: Background) -> None:
    with LocalWorker(background) as worker:
        worker.worker.holder.current = None
        assert _error(call(worker.port, "GET", "/")) == (503, "no_snapshot")


FAILING: dict[str, tuple[Script, int, str]] = {
    "closing": ([READ], 502, "closed"),
    "resetting": ([READ, RESET], 502, "closed"),
    "hanging": ([READ, HANG], 504, "timeout"),
    "malformed": ([READ, b"nonsense\r\n\r\n"], 502, "malformed"),
    "dripping its head": ([READ, b"H", 0.1, b"T", 0.1, b"T", HANG], 504, "timeout"),
}


def _deadline(code: str) -> float:
    """Short where it is to pass, though a busy champion must keep it; where it is not, none that a test lasts for."""
    return 1.0 if code == "timeout" else ENDLESS


@pytest.mark.parametrize("name", FAILING)
def test_a_champion_that_fails_is_a_gateway_error(background: Background, scene: Scene, name: str) -> None:
    script, status, code = FAILING[name]
    with Scripted(background, script) as upstream:
        answer = scene.routed(champion=target("40", upstream), timeout=_deadline(code)).post()
        assert _error(answer) == (status, code)
        assert scene.window.champion.errors == {code: 1}
        eventually(scene.worker.idle)


def test_a_champion_that_refuses_is_a_gateway_error(scene: Scene) -> None:
    with refusing() as origin:
        assert _error(scene.routed(champion=target("40", origin)).post()) == (502, "connect")
        assert scene.window.champion.errors == {"connect": 1}


def test_the_log_names_the_server_that_failed_and_the_client_does_not_learn_it(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with refusing() as origin:
        answer = scene.routed(champion=target("40", origin)).post()
    assert msgspec.json.decode(answer.body)["message"] == "no connection to the model's server"
    assert f"{origin.authority} has failed: connect: " in caplog.text


def test_the_champions_own_errors_come_through(scene: Scene) -> None:
    scene.champion.handler = predicting(status=503)
    answer = scene.post()
    assert (answer.status, answer["x-penstock-variant"]) == (503, "champion")
    assert scene.window.champion.errors == {"status_5xx": 1}


# The shield


def _shielded(scene: Scene, code: str) -> None:
    answer = scene.post()
    assert (answer.status, answer.body) == (200, b'{"predictions":[1.0]}')
    assert answer["x-penstock-variant"] == "champion"
    assert answer["x-penstock-version"] == "40"
    assert answer["x-penstock-fallback"] == "candidate-error"
    window = scene.window
    assert (window.candidate.answers, window.candidate.errors, window.fallbacks) == (1, {code: 1}, 1)
    assert (window.champion.answers, window.champion.errors) == (1, {})
    assert window.shadow.offered == 0
    eventually(scene.worker.idle)


@pytest.mark.parametrize("name", FAILING)
def test_the_champion_answers_for_a_candidate_that_fails(background: Background, scene: Scene, name: str) -> None:
    script, _, code = FAILING[name]
    with Scripted(background, script) as upstream:
        _shielded(scene.ramped(10_000, upstream, timeout=_deadline(code)), code)


def test_the_champion_answers_for_a_candidate_that_refuses(scene: Scene) -> None:
    with refusing() as origin:
        _shielded(scene.ramped(10_000, origin), "connect")


@pytest.mark.parametrize("status", [500, 503, 599])
def test_the_champion_answers_for_a_candidate_that_errs(background: Background, scene: Scene, status: int) -> None:
    with Scripted(background, [READ, whole(b"sorry", status), HANG]) as upstream:
        _shielded(scene.ramped(10_000, upstream), "status_5xx")


def test_the_champion_answers_for_a_candidate_that_errs_without_end(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, b"HTTP/1.1 500 X\r\ncontent-length: 9\r\n\r\nsorry", HANG]) as upstream:
        _shielded(scene.ramped(10_000, upstream, timeout=ENDLESS), "status_5xx")


def test_what_the_champion_answered_for_the_candidate_is_not_copied(scene: Scene) -> None:
    scene.candidate.handler = predicting(status=500)
    scene.ramped(10_000).routed(shadow=ShadowPolicy()).post()
    eventually(scene.worker.idle)
    assert (len(scene.champion.seen), len(scene.candidate.seen), scene.window.shadow.offered) == (1, 1, 0)


def test_where_both_fail_the_champions_failure_is_told(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ]) as upstream, refusing() as origin:
        scene.ramped(10_000, upstream, champion=target("40", origin))
        assert _error(scene.post()) == (502, "connect")
        window = scene.window
        assert (window.candidate.errors, window.champion.errors) == ({"closed": 1}, {"connect": 1})


BROKEN_OFF: dict[str, Script] = {
    "length, closed": [READ, NINE + b"half", 0.1],
    "length, before any byte of it": [READ, NINE, 0.1],
    "length, reset": [READ, NINE + b"half", 0.1, RESET],
    "length, hanging": [READ, NINE + b"half", HANG],
    "chunked, closed": [READ, CHUNKED + b"4\r\nhalf\r\n", 0.1],
    "chunked, malformed": [
        READ,
        CHUNKED + b"4\r\nhalf\r\n",
        0.1,
        b"oops\r\n",
    ],
    "until the close, reset": [READ, b"HTTP/1.1 200 OK\r\n\r\nhalf", 0.1, RESET],
}


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("variant", ["champion", "candidate"])
@pytest.mark.parametrize("name", BROKEN_OFF)
def test_an_answer_that_breaks_off_never_looks_whole(
    background: Background, scene: Scene, name: str, variant: str, version: str
) -> None:
    deadline = _deadline("timeout" if HANG in BROKEN_OFF[name] else "closed")
    with Scripted(background, BROKEN_OFF[name]) as upstream, Client(scene.port) as client:
        if variant == "champion":
            scene.routed(champion=target("40", upstream), timeout=deadline)
        else:
            scene.ramped(10_000, upstream, timeout=deadline)
        client.send(request("POST", "/", [JSON], BODY, version))
        with pytest.raises(CutOff):
            client.read()
        eventually(scene.worker.idle)
        lane = scene.window.champion if variant == "champion" else scene.window.candidate
        assert (lane.answers, lane.failures, lane.statuses) == (1, 1, {})
        assert scene.window.fallbacks == 0
        assert scene.champion.seen == []


# Clients that leave


@pytest.mark.parametrize(
    "script",
    [
        [HANG],
        [READ, HANG],
        [READ, b"HTTP/1.1 200 OK\r\n", HANG],
        [READ, NINE + b"half", HANG],
        [READ, b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", *[b"x" * 65_536] * 200, HANG],
    ],
    ids=["before it is read", "before the head", "in the head", "in the body", "in a large body that it does not take"],
)
def test_a_client_that_leaves_takes_its_exchange_along(background: Background, scene: Scene, script: Script) -> None:
    with Scripted(background, script) as upstream, ExitStack() as crowd:
        scene.routed(champion=target("40", upstream), timeout=ENDLESS)
        for _ in range(8):
            crowd.enter_context(Client(scene.port, receive_buffer=4096)).send(request("POST", "/", [JSON], BODY))
        eventually(lambda: upstream.connections == 8)
        time.sleep(0.1)
        crowd.close()
        eventually(scene.worker.idle)
    assert scene.window.champion.failures == 0


def test_a_client_that_reads_slowly_is_not_the_fault_of_who_answers_it(background: Background, scene: Scene) -> None:
    """It gets all of its answer, however long it takes, and its own time is not the candidate's."""
    body = b"x" * (16 << 20)
    with Scripted(background, [READ, whole(body), HANG]) as upstream, Client(scene.port, receive_buffer=4096) as client:
        scene.ramped(10_000, upstream, timeout=2.0)
        client.send(request("POST", "/", [JSON], BODY))
        time.sleep(3.0)
        assert client.read().body == body
    eventually(scene.worker.idle)
    lane = scene.window.candidate
    assert (lane.answers, lane.errors, lane.statuses) == (1, {}, {"2xx": 1})
    assert lane.latency.above(3.0) == 0


def test_a_client_that_leaves_within_its_request_reaches_no_upstream(scene: Scene) -> None:
    with Client(scene.port) as client:
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf")
        time.sleep(0.05)
    eventually(scene.worker.idle)
    assert scene.champion.seen == []


def test_a_kept_connection_that_the_upstream_closes_loses_no_request(background: Background, scene: Scene) -> None:
    """Each connection is closed just as it gets its second request."""
    with Scripted(background, [READ, whole(b"ok"), READ, RESET]) as upstream, Client(scene.port) as client:
        scene.routed(champion=target("40", upstream))
        assert [client.request("POST", "/", [JSON], BODY).status for _ in range(30)] == [200] * 30
    assert scene.window.champion.errors == {}


def test_bytes_behind_an_answer_reach_no_other_client(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, whole(b"mine") + whole(b"poison"), HANG]) as upstream:
        scene.routed(champion=target("40", upstream))
        assert {scene.post().body for _ in range(10)} == {b"mine"}
        assert upstream.connections == 10


def test_at_the_pools_limit_the_answer_is_503(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, HANG]) as upstream, ExitStack() as crowd:
        scene.routed(champion=target("40", upstream), timeout=ENDLESS)
        for _ in range(512):
            crowd.enter_context(Client(scene.port)).send(request("GET", "/"))
        eventually(lambda: upstream.connections == 512)
        assert _error(scene.post()) == (503, "busy")


def test_a_failure_is_over_when_its_request_is(scene: Scene, background: Background) -> None:
    """Whatever fails later has nothing to do with it: no chain of errors grows from request to request."""
    with refusing() as nobody, Scripted(background, [READ, b"nonsense"]) as malformed:
        for origin in (nobody, malformed):
            scene.ramped(10_000, origin)
            for _ in range(3):
                assert scene.post().status == 200
    assert background.call(_context_of_an_error) is None


def _context_of_an_error() -> BaseException | None:
    try:
        raise KeyError("a later one")
    except KeyError as error:
        return error.__context__
