"""The client of the control API, against a server that speaks it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gates.client import ControlClient, ControlFailed
from gates.exits import Exit
from gates.state import AuditRow
from gates.status import ControlStatus, ModelStatus
from proxy.snapshot import Phase
from tests.gates.serving import served

MODEL = ModelStatus("fraud/detector", "40", "42", Phase.SHADOW, 0.0, 3, None)
STATUS = ControlStatus(3, (MODEL,), {"worker": 3})
ROW = AuditRow(3, 1.5, "fraud/detector", "r1", "start", "maria", "asked", "shadow", 0, "{}")


@dataclass
class ControlPlane:
    """Answers as the control port does, and keeps what it was asked to do."""

    url: str = ""
    asked: list[tuple[str, object]] = field(default_factory=list)

    async def status(self, request: Request) -> Response:
        return Response(msgspec.json.encode(STATUS))

    async def model(self, request: Request) -> Response:
        if request.path_params["model"] != MODEL.model:
            refusal = {"error": "unknown_model", "message": "no such model", "remedy": "known: fraud/detector"}
            return Response(msgspec.json.encode(refusal), 404)
        return Response(msgspec.json.encode(MODEL))

    async def events(self, request: Request) -> Response:
        return Response(msgspec.json.encode([ROW]))

    async def act(self, request: Request) -> Response:
        self.asked.append((request.url.path, msgspec.json.decode(await request.body())))
        if request.url.path.endswith("/pause"):
            return Response(msgspec.json.encode({"error": "illegal", "message": "pause is not possible"}), 409)
        if request.url.path.endswith("/promote"):
            return Response(msgspec.json.encode({"error": "store", "message": "the store is gone"}), 503)
        return Response(msgspec.json.encode(MODEL))

    async def unknown(self, request: Request) -> Response:
        return Response(msgspec.json.encode({"error": "unknown_model", "message": "no model of that path"}), 404)

    async def hang(self, request: Request) -> Response:
        await asyncio.sleep(60)
        return Response()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/status", self.status),
                Route("/api/models/{model:path}/rollout/{wish}", self.act, methods=["POST"]),
                Route("/api/models/{model:path}/rollout", self.act, methods=["POST"]),
                Route("/api/models/{model:path}/events", self.events),
                Route("/api/models/{model:path}", self.model),
                Route("/hanging/api/status", self.hang),
                Route("/hanging/api/models/m/rollout/advance", self.hang, methods=["POST"]),
                Route("/data/api/status", self.unknown),
                Route("/other/api/status", lambda _: PlainTextResponse("hello")),
                Route("/newer/api/status", lambda _: PlainTextResponse('{"generation": "three"}')),
            ]
        )


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    control = ControlPlane()
    with served(control.app()) as control.url:
        yield control


@pytest.fixture
def client(plane: ControlPlane) -> Iterator[ControlClient]:
    plane.asked.clear()
    with ControlClient(plane.url + "/") as client:
        yield client


def failure(url: str, timeout: float = 10.0) -> ControlFailed:
    with ControlClient(url, timeout) as client, pytest.raises(ControlFailed) as caught:
        client.status()
    assert "\n" not in str(caught.value)
    return caught.value


def test_it_reads_what_the_control_plane_says(client: ControlClient) -> None:
    assert client.status() == STATUS
    assert client.model(MODEL.model) == MODEL
    assert client.events(MODEL.model) == (ROW,)


def test_it_asks_for_a_rollout_and_for_its_steps(client: ControlClient, plane: ControlPlane) -> None:
    assert client.start(MODEL.model, "42", "maria", "better") == MODEL
    assert client.ask(MODEL.model, "rollback", "maria", "worse") == MODEL
    assert client.start(MODEL.model, "42", "maria", "mended", override=True) == MODEL
    again = {"candidate": "42", "by": "maria", "reason": "mended", "override": True}
    assert plane.asked == [
        ("/api/models/fraud/detector/rollout", {"candidate": "42", "by": "maria", "reason": "better"}),
        ("/api/models/fraud/detector/rollout/rollback", {"by": "maria", "reason": "worse"}),
        ("/api/models/fraud/detector/rollout", again),
    ]


def test_to_go_on_is_asked_of_the_stage_that_was_seen(client: ControlClient, plane: ControlPlane) -> None:
    assert client.advance(MODEL.model, "maria", "seen enough") == MODEL
    assert client.advance(MODEL.model, "maria", "reviewed", epoch=7, approval=True) == MODEL
    said = {"by": "maria", "reason": "reviewed", "epoch": 7, "approval": True}
    assert [body for _, body in plane.asked] == [{"by": "maria", "reason": "seen enough"}, said]


def test_what_got_no_answer_may_be_done_already(plane: ControlPlane) -> None:
    """Asked again blindly, it would be done twice."""
    with ControlClient(plane.url + "/hanging", 0.2) as client, pytest.raises(ControlFailed) as caught:
        client.advance("m", "maria", "seen enough")
    assert "did not answer in time" in str(caught.value)
    assert "penstock status" in str(caught.value)
    assert "try again" not in str(caught.value)


def test_a_refusal_brings_its_cause_and_remedy(client: ControlClient) -> None:
    with pytest.raises(ControlFailed, match=r"^no such model: known: fraud/detector$") as unknown:
        client.model("none")
    with pytest.raises(ControlFailed, match=r"^pause is not possible$") as illegal:
        client.ask(MODEL.model, "pause", "maria", "")
    assert unknown.value.exit is illegal.value.exit is Exit.REFUSED


def test_a_control_plane_in_trouble_is_not_a_refusal(client: ControlClient) -> None:
    with pytest.raises(ControlFailed, match=r"^the store is gone$") as gone:
        client.ask(MODEL.model, "promote", "maria", "")
    assert gone.value.exit is Exit.UNAVAILABLE


def test_where_nobody_listens_it_says_how_to_start_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    told = failure(url)
    assert told.exit is Exit.UNAVAILABLE
    assert f"no control plane answers at {url}" in str(told)
    assert "penstock serve" in str(told)


def test_who_does_not_answer_in_time(plane: ControlPlane) -> None:
    told = failure(plane.url + "/hanging", 0.2)
    assert told.exit is Exit.UNAVAILABLE
    assert "did not answer in time" in str(told)


@pytest.mark.parametrize("path", ["/data", "/other", "/newer", "/nothing"])
def test_another_server_is_told_from_a_control_plane(plane: ControlPlane, path: str) -> None:
    told = failure(plane.url + path)
    assert told.exit is Exit.UNAVAILABLE
    assert "does not answer as a control plane" in str(told)
    assert "--control" in str(told)


@pytest.mark.parametrize("url", ["127.0.0.1:9080", "ftp://127.0.0.1", "http://127.0.0.1:port", ""])
def test_an_address_that_is_none(url: str) -> None:
    told = failure(url)
    assert told.exit is Exit.USAGE
    assert "http://HOST:PORT" in str(told)


def test_the_environments_proxies_are_not_asked(client: ControlClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert client.status() == STATUS
