"""What the control port tells: how things stand, what was decided, what differed; and from when on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gates.phases import Event
from gates.state import AuditRow, Recorded
from gates.status import ControlStatus, ModelStatus
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop
from tests.fakes import FakeRegistry, MemoryStore
from tests.gates.api.asking import HERE, client_of, refusal
from tests.gates.controller.test_casebook import pair, push


class Counting(MemoryStore):
    """It counts the audit rows that it hands out."""

    handed = 0

    def history(self, *args: Any, **kwargs: Any) -> Sequence[AuditRow]:
        rows = super().history(*args, **kwargs)
        self.handed += len(rows)
        return rows


class TestReading:
    @in_loop
    async def test_status_and_models(self) -> None:
        async with Desk(registry=FakeRegistry()) as desk, client_of(desk) as client:
            status = msgspec.json.decode((await client.get("/api/status")).content, type=ControlStatus)
            assert [model.model for model in status.models] == [MODEL]
            assert status.registry is not None
            models = msgspec.json.decode((await client.get("/api/models")).content, type=list[ModelStatus])
            model = msgspec.json.decode((await client.get(HERE)).content, type=ModelStatus)
            assert models == list(status.models) == [model]
            assert model.phase is Phase.SHADOW

    @in_loop
    async def test_events_newest_first_and_no_more_than_asked(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            await desk.command(Event.CLIMB)
            rows = msgspec.json.decode((await client.get(f"{HERE}/events")).content, type=list[AuditRow])
            assert [row.event for row in rows] == ["climb", "start", "configure"]
            assert len((await client.get(f"{HERE}/events?limit=1")).json()) == 1
            for limit in ("0", "1001", "-1", "x", "1" * 30):
                assert refusal(await client.get(f"{HERE}/events?limit={limit}")) == (422, "bad_query")

    @pytest.mark.parametrize("since", [-1, 2**63])
    @in_loop
    async def test_a_generation_that_no_store_can_count_is_refused(self, since: int) -> None:
        async with Desk() as desk, client_of(desk) as client:
            assert refusal(await client.get(f"{HERE}/events?since={since}")) == (422, "bad_query")

    @in_loop
    async def test_who_follows_what_is_decided_has_the_store_read_no_more_than_that(self) -> None:
        """A record holds all that it was decided from: a thousand of them are megabytes."""
        store = Counting()
        async with Desk(store=store) as desk, client_of(desk) as client:
            await desk.command(Event.CLIMB)
            here, store.handed = desk.controller.snapshot.generation, 0
            rows = (await client.get(f"{HERE}/events?since={here}&limit=1000")).json()
        assert [row["event"] for row in rows] == ["climb"]
        assert store.handed == 1

    @pytest.mark.parametrize("path", [HERE, f"{HERE}/events"])
    @in_loop
    async def test_an_unknown_model_is_told_the_known_ones(self, path: str) -> None:
        async with Desk() as desk, client_of(desk) as client:
            response = await client.get(path.replace(MODEL, "fraud_detecter"))
            assert refusal(response) == (404, "unknown_model")
            assert MODEL in response.json()["message"]

    @in_loop
    async def test_metrics_and_probes(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            metrics = await client.get("/metrics")
            assert f'penstock_ramp_percent{{model="{MODEL}"}} 0.0' in metrics.text
            assert metrics.headers["content-type"].startswith("text/plain")
            assert (await client.get("/-/live")).status_code == 200
            assert (await client.get("/-/ready")).status_code == 200

    @in_loop
    async def test_paths_and_methods_that_are_not_there(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            assert refusal(await client.get("/nothing")) == (404, "not_found")
            response = await client.get(f"{HERE}/rollout")
            assert refusal(response) == (405, "method_not_allowed")
            assert response.headers["allow"] == "POST"


class TestReadiness:
    @in_loop
    async def test_before_the_start_nothing_but_life_is_claimed(self) -> None:
        desk = Desk()
        async with client_of(desk) as client:
            assert (await client.get("/-/live")).status_code == 200
            for path in ("/-/ready", "/api/status", HERE, "/link/snapshot?worker=w"):
                assert refusal(await client.get(path)) == (503, "not_started")
            assert refusal(await client.post(f"{HERE}/rollout/pause", json={})) == (503, "not_started")
            assert (await client.get("/metrics")).status_code == 200

    @in_loop
    async def test_a_store_that_is_gone_is_told(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            desk.store.broken = "gone"
            assert refusal(await client.get(f"{HERE}/events")) == (503, "store_gone")
            assert refusal(await client.get("/-/ready")) == (503, "store_gone")
            assert refusal(await client.post(f"{HERE}/rollout/advance", json={})) == (503, "store_gone")
            rolled_back = await client.post(f"{HERE}/rollout/rollback", json={"reason": "smoke"})
            assert (rolled_back.status_code, rolled_back.json()["phase"]) == (200, "rolled_back")
            assert (await client.get("/api/status")).json()["store_trouble"] == "gone"


class TestDisagreements:
    @in_loop
    async def test_the_newest_rollouts_pairs_the_worst_first_or_one_findings_or_no_more_than_asked(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            epoch = desk.route.epoch
            push(desk, pair("mild", epoch, 0.2), pair("grave", epoch, 1.2), pair("flip", epoch, finding="flip"))
            await desk.controller.keep()
            answer = await client.get(f"{HERE}/disagreements")
            told = msgspec.json.decode(answer.content, type=list[Recorded])
            assert [each.id for each in told] == ["grave", "flip", "mild"]
            assert [each["id"] for each in (await client.get(f"{HERE}/disagreements?finding=flip")).json()] == ["flip"]
            assert len((await client.get(f"{HERE}/disagreements?limit=1")).json()) == 1
            assert (await client.get(f"{HERE}/disagreements?rollout=none")).json() == []
            assert refusal(await client.get("/api/models/no/disagreements")) == (404, "unknown_model")
