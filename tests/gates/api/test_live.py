"""What the dashboard is served: its files, the stream, and the past for its charts."""

from __future__ import annotations

import asyncio
import json

import pytest

from gates.phases import Event
from tests.control import MODEL, Desk, in_loop
from tests.gates.api.asking import HERE, client_of, refusal


async def two_points(desk: Desk) -> None:
    """Ten requests to look back at, and ten more."""
    worker = desk.worker()
    await worker.poll()
    for _ in range(3):
        desk.controller.history.sample(desk.controller.observer, desk.clock.monotonic(), desk.clock.wall())
        worker.traffic(10)
        worker.push()
        desk.clock.advance(2.0)


@in_loop
async def test_the_page_is_strict_about_what_it_loads_and_is_not_sent_twice() -> None:
    async with Desk() as desk, client_of(desk) as client:
        page = await client.get("/")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["content-encoding"] == "gzip"
        again = await client.get("/", headers={"if-none-match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        plain = await client.get("/dashboard/app.js", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.headers["content-type"].startswith("text/javascript")
        assert refusal(await client.get("/dashboard/nothing.js")) == (404, "no_such_file")


@pytest.mark.parametrize("query", ["", f"?model={MODEL}"])
@in_loop
async def test_the_stream_tells_how_things_stand_until_the_process_ends(query: str) -> None:
    async with Desk() as desk, client_of(desk) as client:
        await two_points(desk)
        stream = asyncio.create_task(client.get(f"/api/stream{query}"))  # the client waits for its end
        while not stream.done():
            desk.controller.release()
            await asyncio.sleep(0.01)
        answer = await stream
        assert answer.headers["content-type"].startswith("text/event-stream")
        picture = json.loads(answer.text.split("\n\n")[0].removeprefix("data: "))
        assert [model["model"] for model in picture["status"]["models"]] == [MODEL]
        assert picture["status"]["models"][0]["possible"] == ["advance", "pause", "rollback", "promote"]
        assert len(picture["points"]) == (2 if query else 0)


@in_loop
async def test_history_has_the_points_as_rows() -> None:
    async with Desk() as desk, client_of(desk) as client:
        await two_points(desk)
        series = (await client.get(f"{HERE}/history")).json()
        assert len(series["recent"]) == len(series["whole"]) == 2
        newest = dict(zip(series["columns"], series["recent"][-1], strict=True))
        assert (newest["copies"], newest["seconds"], newest["percent"]) == (10, 2.0, 0.0)
        assert series["rollout"] == desk.rollout.id


@pytest.mark.parametrize("path", ["/api/models/nobody/history", "/api/stream?model=nobody"])
@in_loop
async def test_a_model_that_is_not_there_is_refused_before_anything_flows(path: str) -> None:
    async with Desk() as desk, client_of(desk) as client:
        assert refusal(await client.get(path)) == (404, "unknown_model")


@in_loop
async def test_what_people_may_ask_follows_the_phase() -> None:
    async with Desk() as desk, client_of(desk) as client:
        await desk.command(Event.PAUSE)
        assert (await client.get(HERE)).json()["possible"] == ["resume", "rollback", "promote"]
        await desk.command(Event.ROLL_BACK)
        assert (await client.get(HERE)).json()["possible"] == ["start"]
