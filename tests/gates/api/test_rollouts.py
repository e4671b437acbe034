"""What people ask of rollouts and of the configuration, and what is refused them."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from gates.api import operations
from gates.phases import Event
from gates.status import ControlStatus
from proxy.snapshot import Phase
from tests.control import PLAN, Desk, in_loop, model_settings
from tests.gates.api.asking import HERE, client_of, refusal


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
