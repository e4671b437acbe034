"""What workers ask of the control port, and what they bring."""

from __future__ import annotations

import asyncio

import pytest

from gates.api import workers
from proxy import snapshot as snapshots
from proxy.push import Push, Sample, encode_push
from proxy.window import Window
from tests.control import MODEL, Desk, in_loop
from tests.gates.api.asking import HERE, client_of, refusal


class TestLink:
    @in_loop
    async def test_a_poll_brings_the_snapshot_and_then_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(workers, "POLL_SECONDS", 0.05)
        async with Desk() as desk, client_of(desk) as client:
            first = await client.get("/link/snapshot?worker=w1&generation=0")
            assert snapshots.decode(first.content) == desk.controller.snapshot
            here = desk.controller.snapshot.generation
            nothing = await client.get(f"/link/snapshot?worker=w1&generation={here}")
            assert (nothing.status_code, nothing.content) == (204, b"")
            assert desk.controller.queries.status().workers == {"w1": here}

    @in_loop
    async def test_a_waiting_poll_is_answered_by_a_decision(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            await client.get("/link/snapshot?worker=w1")
            here = desk.controller.snapshot.generation
            held = asyncio.ensure_future(client.get(f"/link/snapshot?worker=w1&generation={here}"))
            await asyncio.sleep(0.05)
            assert not held.done()
            await client.post(f"{HERE}/rollout/rollback", json={"reason": "smoke"})
            told = snapshots.decode((await held).content)
            assert told.by_model[MODEL].candidate is None

    @pytest.mark.parametrize("query", ["", "worker=", "worker=w&generation=-1", "worker=w&generation=x"])
    @in_loop
    async def test_polls_that_are_not_lawful(self, query: str) -> None:
        async with Desk() as desk, client_of(desk) as client:
            assert refusal(await client.get(f"/link/snapshot?{query}")) == (422, "bad_query")

    @in_loop
    async def test_windows_are_taken(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            window = Window()
            window.candidate_shadow.observe(200, 0.01)
            push = Push("w1", 1, (Sample(MODEL, desk.route.epoch, window),))
            assert (await client.post("/link/windows", content=encode_push(push))).status_code == 204
            await desk.controller.tick()
            assert desk.rollout.requests == 1
            assert desk.controller.queries.status().workers == {"w1": 0}

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b'{"worker": "w\\u0000", "sequence": 1, "samples": []}',
            b'{"worker": "w", "sequence": 9223372036854775808, "samples": []}',
            b'{"worker": "w", "sequence": -1, "samples": []}',
            b'{"worker": "w", "sequence": 1, "samples": [{"model": "m", "epoch": 9223372036854775808, "window": {}}]}',
            b'{"worker": "w", "sequence": 1, "samples": [{"model": "m", "epoch": 1, "window": {"fallbacks": -1}}]}',
            b'{"worker": "w", "sequence": 1, "samples": [{"model": "m", "epoch": 1, "window":'
            b' {"candidate": {"errors": {"a": 1}}}}]}',
        ],
    )
    @in_loop
    async def test_windows_that_are_not_lawful(self, body: bytes) -> None:
        async with Desk() as desk, client_of(desk) as client:
            assert refusal(await client.post("/link/windows", content=body)) == (422, "bad_push")
