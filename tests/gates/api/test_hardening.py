"""What every answer is held to, also where we fail ourselves."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp

from gates.api import create_app
from gates.api.hardening import HEADERS, Hardened
from tests.control import Desk, in_loop


async def answer(app: ASGIApp, path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path, headers={"x-request-id": "abc"})


@in_loop
async def test_a_fault_of_ours_is_answered_as_everything_is_and_tells_no_details(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By the framework it is a plain text with no policy and no id, from outside of what hardens all else."""

    def fail(model: str | None = None) -> None:
        raise KeyError("postgresql://ada:hunter2@db")

    async with Desk() as desk:
        app = create_app(desk.controller, None, desk.reloader, desk.guard, desk.alerting)
        monkeypatch.setattr(desk.controller.queries, "status", fail)
        with caplog.at_level(logging.ERROR):
            failed = await answer(app, "/api/status")
    assert failed.status_code == 500
    assert failed.json()["error"] == "internal_error"
    assert "abc" in failed.json()["remedy"]
    assert "hunter2" not in failed.text
    assert {**failed.headers, "x-request-id": "abc", **HEADERS} == dict(failed.headers)
    (record,) = [record for record in caplog.records if record.name == "penstock.control"]
    assert record.getMessage() == "GET /api/status failed"
    assert record.exc_info


@in_loop
async def test_an_answer_that_has_begun_is_broken_off() -> None:
    """What was sent cannot be taken back: only its end can tell."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError("the other half")

    with pytest.raises(LookupError):
        await answer(Hardened(StreamingResponse(parts())), "/")
