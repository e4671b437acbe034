from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from uvicorn._types import ASGISendCallable

from proxy.routing import bucket_of
from proxy.snapshot import Sticky
from tests.servers import (
    HANG,
    JSON,
    READ,
    Background,
    Script,
    Scripted,
    Seen,
    eventually,
    reply,
    whole,
)
from tests.wire import Client, Reply, call, request
from tests.workers import BODY, Scene, target

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
UNTIL_CLOSE = OK + b"\r\nhello"


# What a client sees


def test_the_champion_answers_and_the_answer_says_so(scene: Scene) -> None:
    answer = scene.post()
    assert (answer.status, answer.body) == (200, b'{"predictions":[1.0]}')
    assert answer["content-type"] == "application/json"
    assert answer["x-penstock-model"] == "m"
    assert answer["x-penstock-version"] == "40"
    assert answer["x-penstock-variant"] == "champion"
    assert "x-penstock-fallback" not in answer
    (seen,) = scene.champion.seen
    assert (seen.method, seen.target, seen.body) == ("POST", b"/invocations", BODY)
    lane = scene.window.champion
    assert (lane.answers, lane.statuses, lane.errors) == (1, {"2xx": 1}, {})


def test_the_candidate_answers_its_share_and_the_answer_says_so(scene: Scene) -> None:
    answer = scene.ramped(10_000).post()
    assert answer["x-penstock-version"] == "42"
    assert answer["x-penstock-variant"] == "candidate"
    assert (scene.window.candidate.answers, scene.window.champion.answers) == (1, 0)


@pytest.mark.parametrize(
    ("sent", "kept"), [("abc-1.2:3_X", True), ("two words", False), ("<script>", False), ("a" * 129, False)]
)
def test_a_sane_request_id_is_kept_and_any_other_replaced(scene: Scene, sent: str, kept: bool) -> None:
    answer = scene.post("/", ("x-request-id", sent))
    (seen,) = scene.champion.seen
    assert answer["x-request-id"] == seen["x-request-id"]
    assert (answer["x-request-id"] == sent) == kept
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", answer["x-request-id"])


def test_requests_without_an_id_get_one_each(scene: Scene) -> None:
    assert len({scene.post()["x-request-id"] for _ in range(20)}) == 20


def test_an_upstream_does_not_speak_for_the_proxy(scene: Scene) -> None:
    async def boasting(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, b"{}", fields=[("x-penstock-variant", "candidate"), ("x-request-id", "theirs")])

    scene.champion.handler = boasting
    answer = scene.post("/", ("x-request-id", "ours"))
    assert answer["x-penstock-variant"] == "champion"
    assert answer["x-request-id"] == "ours"


@pytest.mark.parametrize(
    "path", ["/", "/a%2Fb/c%20d?x=1&x=2&y=%26", "/a//b?", "/a?b?c#"[:-1], "/v1/models/m:predict?q=%E2%82%AC"]
)
def test_path_and_query_reach_the_upstream_byte_for_byte(background: Background, scene: Scene, path: str) -> None:
    with Scripted(background, [READ, whole(b"ok"), HANG]) as upstream:
        scene.routed(champion=target("40", upstream)).post(path)
        assert upstream.requests[0].startswith(b"POST %b HTTP/1.1\r\n" % path.encode())


def test_fields_go_both_ways_in_order_and_repeated_and_hop_by_hop_ones_end_here(scene: Scene) -> None:
    async def repeating(seen: Seen, send: ASGISendCallable) -> None:
        fields = [
            ("set-cookie", "b=2"),
            ("x-a", "1"),
            ("set-cookie", "a=1"),
            ("keep-alive", "timeout=9"),
            ("x-drop", "1"),
        ]
        await reply(send, b"{}", fields=[*fields, ("connection", "x-drop")])

    scene.champion.handler = repeating
    sent = [
        ("x-tag", "2"),
        ("accept", "a"),
        ("x-tag", "1"),
        ("x-hop", "1"),
        ("connection", "x-hop"),
        ("te", "trailers"),
    ]
    answer = scene.post("/", *sent)
    (seen,) = scene.champion.seen
    assert [field for field in seen.fields if field in sent] == [("x-tag", "2"), ("accept", "a"), ("x-tag", "1")]
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-host"] == "proxy.test"
    assert seen["host"] == scene.champion.origin.authority
    assert answer.all("set-cookie") == ["b=2", "a=1"]
    assert "keep-alive" not in answer
    assert "x-drop" not in answer


def test_a_cookie_that_one_client_is_given_goes_with_no_other_request(scene: Scene) -> None:
    async def baking(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, b"{}", fields=[JSON, ("set-cookie", "session=secret")])

    scene.champion.handler = baking
    assert scene.post()["set-cookie"] == "session=secret"
    assert scene.post()["set-cookie"] == "session=secret"
    assert [seen.all("cookie") for seen in scene.champion.seen] == [[], []]


def test_the_environments_proxies_are_not_asked(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert scene.post().status == 200


def test_nothing_is_added_to_what_the_client_asked(scene: Scene) -> None:
    call(scene.port, "GET", "/")
    (seen,) = scene.champion.seen
    ours = {"host", "x-request-id", "via", "x-forwarded-proto", "x-forwarded-for", "x-forwarded-host"}
    assert {name for name, _ in seen.fields} == ours


@pytest.mark.parametrize(
    ("raw", "method", "status", "body", "framing"),
    [
        (whole(b"hello"), "GET", 200, b"hello", "length"),
        (whole(b""), "GET", 200, b"", "length"),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", "GET", 200, b"hello", "chunked"),
        (UNTIL_CLOSE, "GET", 200, b"hello", "chunked"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n", "HEAD", 200, b"", "none"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", 204, b"", "none"),
        (b"HTTP/1.1 304 Not Modified\r\netag: x\r\ncontent-length: 9\r\n\r\n", "GET", 304, b"", "none"),
        (b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + whole(b"hello"), "GET", 200, b"hello", "length"),
        (whole(b"gone", 410), "DELETE", 410, b"gone", "length"),
    ],
    ids=["length", "empty", "chunked", "until the close", "HEAD", "204", "304", "103 before", "410"],
)
def test_every_framing_comes_through(
    background: Background, scene: Scene, raw: bytes, method: str, status: int, body: bytes, framing: str
) -> None:
    until_close = raw == UNTIL_CLOSE
    script: Script = [READ, raw] if until_close else [READ, raw, READ, raw, HANG]
    with Scripted(background, script) as upstream, Client(scene.port) as client:
        scene.routed(champion=target("40", upstream))
        for _ in range(2):
            answer = client.request(method, "/")
            assert (answer.status, answer.body, answer.framing) == (status, body, framing)


def test_the_length_that_head_is_told_is_kept(background: Background, scene: Scene) -> None:
    with Scripted(background, [READ, b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n", HANG]) as upstream:
        scene.routed(champion=target("40", upstream))
        assert call(scene.port, "HEAD", "/")["content-length"] == "999"


def test_an_old_client_gets_an_unchunked_body(background: Background, scene: Scene) -> None:
    with (
        Scripted(background, [READ, CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", HANG]) as upstream,
        Client(scene.port) as client,
    ):
        scene.routed(champion=target("40", upstream))
        client.send(request("GET", "/", version="1.0"))
        old = client.read()
        assert (old.body, old.framing) == (b"hello", "close")


def test_large_bodies_come_whole_both_ways_to_a_slow_reader(scene: Scene) -> None:
    body = bytes(range(256)) * 20_480

    async def echoing(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, seen.body)

    scene.champion.handler = echoing
    with Client(scene.port, receive_buffer=16_384) as client:
        client.send(request("POST", "/", body=body))
        _, status, fields = client.read_head()
        assert (status, dict(fields)["content-length"]) == (200, str(len(body)))
        received = bytearray()
        while len(received) < len(body):
            received += client.read_some(262_144)
            time.sleep(0.005)
        assert received == body


def test_events_come_as_they_are_sent(background: Background, scene: Scene) -> None:
    """The server sends each event only when the client has read the one before."""
    read: asyncio.Queue[None] = asyncio.Queue()

    async def events(seen: Seen, send: ASGISendCallable) -> None:
        fields = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": fields, "trailers": False})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
            await read.get()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    scene.champion.handler = events
    with Client(scene.port) as client:
        client.send(request("GET", "/"))
        assert dict(client.read_head()[2])["content-type"] == "text/event-stream"
        for number in range(3):
            assert client.read_chunk() == b"data: %d\n\n" % number
            background.call(lambda: read.put_nowait(None))
        assert client.read_chunk() == b""


def test_the_time_to_the_head_is_counted_apart_from_the_whole(scene: Scene) -> None:
    """Behind its head, the answer rests: in that time no head of the next one could come. A busy machine may see the
    head a while after it was sent."""
    rest = 1.0

    async def slow_body(seen: Seen, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": False})
        await asyncio.sleep(rest)
        await send({"type": "http.response.body", "body": b"{}", "more_body": False})

    scene.champion.handler = scene.candidate.handler = slow_body
    scene.routed(candidate=target("42", scene.candidate))
    assert scene.post().body == b"{}"
    for lane in (scene.window.champion, scene.window.candidate_shadow):
        eventually(lambda lane=lane: lane.answers == 1)  # type: ignore[misc]
        assert lane.first_byte.total == 1
        assert lane.latency.sum_micros - lane.first_byte.sum_micros >= rest * 1e6 / 2


def test_a_request_sees_one_snapshot(background: Background, scene: Scene) -> None:
    """The snapshot changes while it is under way: it is counted under the one that routed it."""
    held = asyncio.Event()

    async def holding(seen: Seen, send: ASGISendCallable) -> None:
        await held.wait()
        await reply(send, b"{}")

    scene.champion.handler = holding
    before = scene.route
    with Client(scene.port) as client:
        client.send(request("GET", "/"))
        eventually(lambda: scene.champion.seen)
        scene.ramped(10_000, epoch=before.epoch + 1000)
        background.call(held.set)
        assert client.read()["x-penstock-version"] == "40"
    assert scene.worker.window(before).champion.answers == 1
    assert scene.window.champion.answers == 0


# Who serves


def _variants(scene: Scene, ask: Callable[[str], Reply]) -> dict[str, str]:
    return {f"user-{number}": ask(f"user-{number}")["x-penstock-variant"] for number in range(100)}


@pytest.mark.parametrize("ramp", [0, 100, 2500, 5000, 10_000])
def test_the_ramp_splits_exactly_by_bucket(scene: Scene, ramp: int) -> None:
    scene.ramped(ramp)
    with Client(scene.port) as client:
        served = _variants(scene, lambda user: client.request("POST", "/", [("x-request-id", user)], BODY))
    due = {user: "candidate" if bucket_of("s", user.encode()) < ramp else "champion" for user in served}
    assert served == due
    assert scene.window.candidate.answers == list(due.values()).count("candidate")
    assert len(scene.candidate.seen) == scene.window.candidate.answers
    assert scene.window.champion.answers == list(due.values()).count("champion")


@pytest.mark.parametrize(
    ("sticky", "fields", "body"),
    [
        (Sticky("header", "x-user-id"), lambda user: [("X-User-Id", user)], lambda user: BODY),
        (Sticky("cookie", "session"), lambda user: [("cookie", f"a=1; session={user}; b=2")], lambda user: BODY),
        (Sticky("json", "user.id"), lambda user: [], lambda user: b'{"user": {"id": "%b"}}' % user.encode()),
    ],
    ids=["header", "cookie", "json"],
)
def test_a_unit_stays_where_it_is(
    scene: Scene,
    sticky: Sticky,
    fields: Callable[[str], list[tuple[str, str]]],
    body: Callable[[str], bytes],
) -> None:
    scene.ramped(5000, sticky=sticky)
    with Client(scene.port) as client:
        first, second = (
            _variants(scene, lambda user: client.request("POST", "/", fields(user), body(user))) for _ in range(2)
        )
    due = {user: "candidate" if bucket_of("s", user.encode()) < 5000 else "champion" for user in first}
    assert first == second == due
    assert set(due.values()) == {"champion", "candidate"}


def test_models_are_told_apart_by_their_longest_prefix(scene: Scene) -> None:
    other = replace(scene.route, model="n", path_prefix="/n", champion=target("7", scene.candidate))
    scene.worker.route(scene.route, other)
    assert scene.post("/n/invocations")["x-penstock-model"] == "n"
    assert scene.post("/not")["x-penstock-model"] == "m"
    assert [seen.target for seen in scene.candidate.seen] == [b"/n/invocations"]
