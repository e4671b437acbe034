"""Answers that no Prometheus, or a strange one, gives; the real one is asked in tests/gates/cli/test_gate_live.py."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gates.adapters.prometheus import Prometheus
from gates.ports import MetricsError
from tests.servers import Background, Handler, ModelServer, Seen, refusing, reply


def answering(body: bytes, status: int = 200) -> Handler:
    async def handle(seen: Seen, send: Any) -> None:
        await reply(send, body, status)

    return handle


def vector(*values: object) -> bytes:
    result = [{"metric": {"__name__": "up", "job": "a"}, "value": [1.0, value]} for value in values]
    return msgspec.json.encode({"status": "success", "data": {"resultType": "vector", "result": result}})


def test_the_newest_value_of_each_series(background: Background) -> None:
    server = ModelServer(background, answering(vector("1.5", "NaN")))
    with server, Prometheus(f"http://127.0.0.1:{server.port}/") as source:
        first, second = source.series("up", 0.0, 2.0)
    assert (first.name, [point.value for point in first.points]) == ("up{job=a}", [1.5])
    assert second.points == (), "what is not a number is no data"
    (asked,) = server.seen
    assert (asked.target, asked.body) == (b"/api/v1/query", b"query=up&time=2.000")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"<html>", 200, "does not answer as a Prometheus"),
        (b"[]", 200, "does not answer as a Prometheus"),
        (b'{"status": "error", "error": "parse error"}', 400, "refuses 'up': parse error"),
        (b'{"status": "success", "data": {"resultType": "string", "result": [1, "a"]}}', 200, "gives a string"),
        (b'{"status": "success"}', 200, "as a Prometheus does"),
        (b'{"status": "success", "data": [1]}', 200, "as a Prometheus does"),
        (b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}', 200, "as a Prom"),
        (
            b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": 5, "value": [1, "2"]}]}}',
            200,
            "as a",
        ),
        (b'{"status": "success", "data": {"resultType": "scalar", "result": [1, "high"]}}', 200, "as a Prom"),
    ],
)
def test_what_is_no_answer_is_an_error(background: Background, body: bytes, status: int, said: str) -> None:
    server = ModelServer(background, answering(body, status))
    with server, Prometheus(f"http://127.0.0.1:{server.port}") as source, pytest.raises(MetricsError, match=said):
        source.series("up", 0.0, 2.0)


def test_nobody_there_is_an_error_without_the_password() -> None:
    with (
        refusing() as origin,
        Prometheus(f"http://ana:s3cret@{origin.authority}") as source,
        pytest.raises(MetricsError, match="does not answer") as caught,
    ):
        source.series("up", 0.0, 2.0)
    assert "s3cret" not in str(caught.value)
