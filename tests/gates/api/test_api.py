from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx2
import msgspec
import pytest

from gates.api import create_app, operations, workers
from gates.phases import Event
from gates.state import AuditRow, Recorded
from gates.status import ControlStatus, ModelStatus
from proxy import snapshot as snapshots
from proxy.push import Push, Sample, encode_push
from proxy.snapshot import Phase
from proxy.window import Window
from tests.control import MODEL, PLAN, Desk, in_loop, model_settings
from tests.fakes import FakeRegistry, MemoryStore
from tests.gates.controller.test_casebook import pair, push
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


class TestRollouts:
    @in_loop
    async def test_a_whole_rollout_by_hand(self) -> None:
        async with Desk(model_settings(candidate=None)) as desk, client_of(desk) as client:
            started = await client.post(f"{HERE}/rollout", json={"candidate": "42", "by": "ada", "reason": "new"})
            assert (started.status_code, started.json()["phase"]) == (201, "shadow")
            assert started.json()["rollout"]["started_by"] == "ada"
            phases = []
            for wish in ("pause", "resume", "advance", "advance", "advance", "advance", "promote"):
                answer = await client.post(f"{HERE}/rollout/{wish}", json={"by": "ada"})
                phases.append((answer.json()["phase"], answer.json()["percent"]))
            assert phases[:2] == [("paused", 0), ("shadow", 0)]
            assert phases[2:] == [("ramp", 5), ("ramp", 50), ("ramp", 100), ("bake", 100), ("promoted", 0)]
            assert (await client.get(HERE)).json()["champion"] == "42"

    @in_loop
    async def test_an_empty_body_is_a_wish_of_someone(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            assert (await client.post(f"{HERE}/rollout/pause")).status_code == 200
            assert desk.store.audit[-1].by.startswith("someone at ")

    @in_loop
    async def test_a_rollback_needs_a_reason(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            for body in ({}, {"reason": " "}):
                assert refusal(await client.post(f"{HERE}/rollout/rollback", json=body)) == (422, "reason_missing")
            assert desk.phase is Phase.SHADOW

    @pytest.mark.parametrize("wish", ["advance", "promote"])
    @in_loop
    async def test_of_two_who_want_the_same_the_second_is_told_that_it_is_done(self, wish: str) -> None:
        async with Desk() as desk, client_of(desk) as client:
            seen = (await client.get(HERE)).json()["rollout"]["epoch"]
            answers = [await client.post(f"{HERE}/rollout/advance", json={"epoch": seen})]
            answers.append(await client.post(f"{HERE}/rollout/{wish}", json={"epoch": seen}))
            assert [answer.status_code for answer in answers] == [200, 409]
            assert refusal(answers[1]) == (409, "moved_on")
            assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 500)

    @in_loop
    async def test_of_two_who_approve_one_does(self) -> None:
        """And the stage after it is entered by nobody's word."""
        first, *others = PLAN.steps
        asked = replace(PLAN, steps=(replace(first, approval=True), *others))
        async with Desk(model_settings(plan=asked)) as desk, client_of(desk) as client:
            await desk.pass_stage(desk.worker())
            assert desk.phase is Phase.AWAITING_APPROVAL
            answers = [await client.post(f"{HERE}/rollout/advance", json={"approval": True}) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 409]
            assert "waits for no approval" in answers[1].json()["message"]
            assert (desk.phase, desk.route.ramp_bp) == (Phase.RAMP, 500)

    @in_loop
    async def test_what_the_phase_does_not_allow_is_told_with_what_it_does(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            response = await client.post(f"{HERE}/rollout/resume", json={})
            assert refusal(response) == (409, "illegal_event")
            assert "pause" in response.json()["message"]
            assert refusal(await client.post(f"{HERE}/rollout", json={"candidate": "43"})) == (409, "illegal_event")

    @in_loop
    async def test_who_rolls_back_a_promotion_is_told_how(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            await desk.command(Event.PROMOTE)
            late = {"reason": "wrong since last week"}
            response = await client.post(f"{HERE}/rollout/rollback", json=late)
            assert refusal(response) == (409, "illegal_event")
            assert response.json()["message"] == "rollback is not possible in phase promoted; possible: start"
            assert "--to previous" in response.json()["remedy"]
            assert (await client.post(f"{HERE}/rollout/rollback", json=late | {"to": "previous"})).status_code == 200

    @in_loop
    async def test_candidates_that_cannot_be_tried(self) -> None:
        async with Desk(model_settings(candidate=None)) as desk, client_of(desk) as client:
            refusals = {
                candidate: refusal(await client.post(f"{HERE}/rollout", json={"candidate": candidate}))
                for candidate in ("40", "99", "@challenger", "")
            }
            assert refusals == {
                "40": (409, "already_champion"),
                "99": (422, "unroutable"),
                "@challenger": (422, "no_registry"),
                "": (422, "bad_body"),
            }

    @in_loop
    async def test_a_cool_down_holds_unless_it_is_overridden(self) -> None:
        cool = model_settings(plan=replace(PLAN, cool_down=60.0))
        async with Desk(cool) as desk, client_of(desk) as client:
            await client.post(f"{HERE}/rollout/rollback", json={"by": "ada", "reason": "smoke"})
            again = {"candidate": "42", "by": "ada"}
            refused = await client.post(f"{HERE}/rollout", json=again)
            assert refusal(refused) == (409, "cooling_down")
            assert "--override" in refused.json()["remedy"]
            assert (await client.post(f"{HERE}/rollout", json=again | {"override": True})).status_code == 201

    @pytest.mark.parametrize(
        "body",
        [b"{", b"[]", b'{"candidate": 42}', b'{"candidate": "42", "why": 1}', b"[" * 9999, b'{"candidate": "\xff"}'],
    )
    @in_loop
    async def test_bodies_that_are_not_lawful(self, body: bytes) -> None:
        async with Desk() as desk, client_of(desk) as client:
            assert refusal(await client.post(f"{HERE}/rollout", content=body)) == (422, "bad_body")

    @in_loop
    async def test_bodies_are_limited(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            long = b" " * (operations.MAX_BODY + 1)
            assert refusal(await client.post(f"{HERE}/rollout/pause", content=long)) == (413, "body_too_large")
            reason = {"reason": "x" * 2001}
            assert refusal(await client.post(f"{HERE}/rollout/pause", json=reason)) == (422, "bad_body")

    @pytest.mark.parametrize("body", [{"reason": "a\0b"}, {"reason": "r", "by": "\0"}])
    @in_loop
    async def test_what_no_store_can_keep_is_refused_before_it_is_done(self, body: dict[str, str]) -> None:
        async with Desk() as desk, client_of(desk) as client:
            assert refusal(await client.post(f"{HERE}/rollout/rollback", json=body)) == (422, "bad_body")
            assert desk.phase is Phase.SHADOW

    @in_loop
    async def test_a_page_from_elsewhere_may_not_steer(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            foreign = {"origin": "http://evil.example"}
            answer = await client.post(f"{HERE}/rollout/promote", json={}, headers=foreign)
            assert refusal(answer) == (403, "foreign_origin")
            assert "has to pass Host on as it comes; what came is 'localhost'" in answer.json()["remedy"]
            own = {"origin": "http://localhost"}
            assert (await client.post(f"{HERE}/rollout/pause", json={}, headers=own)).status_code == 200

    @in_loop
    async def test_an_unknown_wish_is_no_route(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            assert refusal(await client.post(f"{HERE}/rollout/explode", json={})) == (404, "not_found")


class TestReload:
    @in_loop
    async def test_a_configuration_that_is_not_sound_is_refused_with_its_problems(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            for body in ({}, {"dry_run": True}):
                answer = await client.post("/api/reload", json=body)
                assert refusal(answer) == (422, "bad_configuration")
                assert "penstock.yaml cannot be read" in answer.json()["message"]
            told = msgspec.json.decode((await client.get("/api/status")).content, type=ControlStatus).configuration
            assert told is not None
            assert "cannot be read" in told.trouble


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
