"""What strangers send leaves no trace in labels, gains nothing, and brings no secret out."""

from __future__ import annotations

import os
import random

import httpx2
import pytest

from gates.access import MATRIX, RELEASE, Role
from gates.adapters.tokens import make
from gates.api import create_app
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop
from tests.gates.api.test_roles import TOKENS, bearer, guarded
from tests.gates.controller.test_gatekeeper import NoOutcomes

CASES = int(os.environ.get("PENSTOCK_STRANGERS", "2000"))
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "BREW", "get")
STEMS = ("/api/models/{}", "/api/models/{}/rollout/promote", "/api/{}", "/{}", "/link/{}", "/metrics/{}", "/-/{}")
SPOOFED = (
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-user", "x-remote-user", "x-original-url", "x-rewrite-url",
    "x-http-method-override", "x-penstock-role", "x-user", "forwarded", "via", "x-request-id", "cookie",
    "authorization",
)  # fmt: skip
VALUES = ("admin", "127.0.0.1", "localhost", "/-/live", "GET", "release_manager", "penstock_session=s1", "Basic YTpi")


def series(text: str) -> set[str]:
    """Each series by its name and labels."""
    return {line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}


def invented(rng: random.Random) -> tuple[str, str, dict[str, str]]:
    word = "".join(rng.choices("abcdefghijklmnop0123456789-_.~%2F", k=rng.randint(1, 24))).replace("%", "%25")
    word = word.lstrip(".") or "x"  # a client resolves dot segments itself
    headers = {rng.choice(SPOOFED): rng.choice(VALUES) for _ in range(rng.randint(0, 3))}
    return rng.choice(METHODS), rng.choice(STEMS).format(word), headers


@in_loop
async def test_invented_requests_change_no_label_and_gain_nothing() -> None:
    """PENSTOCK_STRANGERS=100000 looks longer."""
    rng = random.Random(7)
    async with guarded() as desk:
        app = create_app(desk.controller, None, desk.reloader, desk.guard, desk.alerting)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://control") as client:
            viewer = bearer(TOKENS["viewer"])
            before = series((await client.get("/metrics", headers=viewer)).text)
            snapshot, rows = desk.controller.snapshot, list(desk.store.audit)
            for _ in range(CASES):
                method, path, headers = invented(rng)
                answer = await client.request(method, path, headers=headers)
                assert answer.status_code in (401, 403, 404, 405), (method, path, headers, answer.status_code)
            assert series((await client.get("/metrics", headers=viewer)).text) == before
            assert (desk.controller.snapshot, desk.store.audit) == (snapshot, rows)


@pytest.mark.parametrize("role", [role for role in Role if role not in RELEASE])
@in_loop
async def test_spoofed_headers_gain_nothing_beside_a_low_role(role: Role) -> None:
    """Some proxies tell by them who asks, and what: here the token alone does."""
    async with guarded() as desk:
        app = create_app(desk.controller, None, desk.reloader, desk.guard, desk.alerting)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://control") as client:
            for route in (route for route, roles in MATRIX.items() if roles is not None and role not in roles):
                method, _, path = route.partition(" ")
                for value in VALUES:
                    headers = dict.fromkeys(SPOOFED, value) | bearer(TOKENS[role])
                    answer = await client.request(method, path.replace("{model}", MODEL), headers=headers)
                    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden"), (route, value)
        assert desk.phase is Phase.SHADOW


@in_loop
async def test_a_secret_that_a_person_lets_slip_goes_no_further() -> None:
    """Into no answer, no record, no status, no alert."""
    canary, password = make(), "postgresql://ada:hunter2hunter2@db/x"
    async with Desk(outcomes=NoOutcomes()) as desk:
        app = create_app(desk.controller, None, desk.reloader, desk.guard, desk.alerting)
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            said = {"by": f"ada {canary}", "reason": f"rotate {canary} and {password}"}
            review = {"candidate": f"42 {canary}", "review": "business", "by": f"bo {canary}"}
            answers = [
                await client.post(f"/api/models/{MODEL}/rollout/rollback", json=said),
                await client.post(f"/api/models/{MODEL}/approvals", json=review | {"note": f"as {canary}, {password}"}),
                await client.post(f"/api/models/{MODEL}/rollout", json={"candidate": canary, "reason": canary}),
                await client.post(f"/api/models/{MODEL}/rollout/rollback", json={"to": canary, "reason": canary}),
                await client.post(f"/api/models/{canary}/rollout/pause", json={}),
                await client.post("/api/session", json={"token": canary, "by": password}),
                await client.get(f"/api/models/{MODEL}/events"),
                await client.get("/api/status"),
                await client.get("/metrics"),
                await client.get(f"/{canary}", headers={"x-request-id": f"a {canary}"}),
            ]
            told = "".join(answer.text + str(answer.headers) for answer in answers)
            told += str(desk.store.audit) + str(desk.alerting.outcomes)
            assert [answer.status_code for answer in answers[:2]] == [200, 200]
            assert "as [hidden]" in told
            assert canary not in told
            assert "hunter2" not in told
