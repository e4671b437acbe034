"""The API over a desk, without a port, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from gates.api import create_app
from tests.control import MODEL, Desk
from tests.gates.controller.test_errands import errands_at

HERE = f"/api/models/{MODEL}"


@asynccontextmanager
async def client_of(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(
        desk.controller, errands_at(desk) if desk.registry else None, desk.reloader, desk.guard, desk.alerting
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as client:
        yield client


def refusal(response: httpx2.Response) -> tuple[int, str]:
    body = response.json()
    assert body["message"]
    return response.status_code, body["error"]
