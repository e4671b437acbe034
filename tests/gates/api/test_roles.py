"""Every route by every role, by no token, a bad one and one that has expired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest

from gates.access import MATRIX, Role
from gates.adapters.tokens import hash_of, make
from gates.api import create_app, workers
from gates.api.guard import COOKIE, SESSION_SECONDS
from gates.decision import unasked
from gates.phases import Event
from gates.settings.access import AccessSettings, TokenSettings
from proxy.snapshot import Phase
from tests.control import MODEL, Desk, in_loop, settings_of
from tests.fakes import FakeClock

TOKENS: Mapping[str, str] = {role.value: make() for role in Role} | {"expired": make(), "bad": make()}
ACCESS = AccessSettings(
    (
        *(TokenSettings(f"{role}'s", role, hash_of(TOKENS[role]).removeprefix("sha256:")) for role in Role),
        TokenSettings(
            "once", Role.ADMIN, hash_of(TOKENS["expired"]).removeprefix("sha256:"), until=FakeClock().wall() - 1
        ),
    )
)
ENDLESS = ("GET /api/stream",)
"""Routes whose answers do not end by themselves."""


def guarded(access: AccessSettings = ACCESS, reachable: bool = False) -> Desk:
    return Desk(settings=replace(settings_of(), access=access), reachable=reachable)


@asynccontextmanager
async def client_of(desk: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(desk.controller, None, desk.reloader, desk.guard, desk.alerting)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://control") as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def ask(client: httpx2.AsyncClient, route: str, headers: Mapping[str, str]) -> httpx2.Response:
    method, _, path = route.partition(" ")
    path = path.replace("{model}", MODEL).replace("{name}", "index.html")
    async with asyncio.timeout(30):
        return await client.request(method, path, headers=headers)


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


@pytest.fixture(autouse=True)
def short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "POLL_SECONDS", 0.01)


@pytest.mark.parametrize("route", MATRIX)
@in_loop
async def test_every_route_by_every_bearer(route: str) -> None:
    lets_in = MATRIX[route]
    for bearing in (None, *TOKENS):
        async with guarded() as desk, client_of(desk) as client:
            headers = bearer(TOKENS[bearing]) if bearing else {}
            told = f"{route} by {bearing or 'nobody'}"
            if lets_in is None:
                assert (await ask(client, route, headers)).status_code not in (401, 403), told
            elif bearing is None:
                answer = await ask(client, route, headers)
                assert (code(answer), answer.headers["www-authenticate"]) == ((401, "no_token"), "Bearer"), told
            elif bearing in ("bad", "expired"):
                assert code(await ask(client, route, headers)) == (401, f"{bearing}_token"), told
            elif Role(bearing) not in lets_in:
                assert code(await ask(client, route, headers)) == (403, "forbidden"), told
            elif route not in ENDLESS:
                assert (await ask(client, route, headers)).status_code not in (401, 403), told


BACK = f"/api/models/{MODEL}/rollout/rollback"
TAKES_BACK = ("ml_engineer", "operator")
"""The roles that may end a rollout, and may let no version serve that has not served before."""
RELEASES = ("release_manager", "admin")


async def back_to(client: httpx2.AsyncClient, version: str, role: str) -> httpx2.Response:
    return await client.post(BACK, json={"to": version, "reason": "r"}, headers=bearer(TOKENS[role]))


class TestARollbackToAVersion:
    """It ends with another version at 100 %: for one that has not served yet, that is a release, past every gate."""

    @pytest.mark.parametrize("role", TAKES_BACK)
    @pytest.mark.parametrize("version", ["42", "43"], ids=["on trial", "never tried"])
    @in_loop
    async def test_is_no_way_round_the_gates(self, role: str, version: str) -> None:
        async with guarded() as desk, client_of(desk) as client:
            answer = await back_to(client, version, role)
            assert code(answer) == (403, "forbidden")
            assert "release_manager" in answer.json()["remedy"]
            assert (desk.route.champion.version, desk.phase) == ("40", Phase.SHADOW)

    @pytest.mark.parametrize("role", RELEASES)
    @pytest.mark.parametrize("version", ["42", "43"], ids=["on trial", "never tried"])
    @in_loop
    async def test_is_a_release_for_those_who_may(self, role: str, version: str) -> None:
        async with guarded() as desk, client_of(desk) as client:
            assert (await back_to(client, version, role)).status_code == 200
            assert desk.route.champion.version == version

    @pytest.mark.parametrize("role", [*TAKES_BACK, *RELEASES])
    @pytest.mark.parametrize("to", ["previous", "40"])
    @in_loop
    async def test_takes_back_to_what_has_served(self, role: str, to: str) -> None:
        async with guarded() as desk, client_of(desk) as client:
            await desk.command(Event.PROMOTE)
            assert (await back_to(client, to, role)).status_code == 200
            assert desk.route.champion.version == "40"

    @pytest.mark.parametrize("to", ["previous", "42"])
    @in_loop
    async def test_is_none_to_a_version_that_has_served_and_is_on_trial_once_more(self, to: str) -> None:
        async with guarded() as desk, client_of(desk) as client:
            await desk.command(Event.PROMOTE)
            await desk.controller.revert(MODEL, "40", "ada", "wrong")
            await desk.controller.start_rollout(MODEL, "42", "ada", "mended")
            assert code(await back_to(client, to, "operator")) == (403, "forbidden")
            assert (desk.route.champion.version, desk.phase) == ("40", Phase.SHADOW)


@pytest.mark.parametrize("scheme", ["Basic", "bearer", "BEARER ", "Token", ""])
@in_loop
async def test_other_schemes(scheme: str) -> None:
    async with guarded() as desk, client_of(desk) as client:
        answer = await client.get("/api/status", headers={"authorization": f"{scheme} {TOKENS['viewer']}"})
        assert answer.status_code == (200 if scheme.strip().lower() == "bearer" else 401)


@in_loop
async def test_the_audit_trail_names_the_token_and_nobody_else() -> None:
    async with guarded() as desk, client_of(desk) as client:
        headers = bearer(TOKENS["release_manager"])
        path = f"/api/models/{MODEL}/rollout/pause"
        await client.post(path, json={"by": "the boss"}, headers=headers)
        assert desk.store.audit[-1].by == "release_manager's (for the boss)"


@pytest.mark.parametrize("name", ["controller", "configuration", "gate runner"])
@in_loop
async def test_nobody_is_taken_for_penstock_itself_by_their_name(name: str) -> None:
    """What the controller or a gate did is urgent, and what the configuration took back may be tried again at once."""
    token = make()
    known = TokenSettings(name, Role.ADMIN, hash_of(token).removeprefix("sha256:"))
    path = f"/api/models/{MODEL}/rollout/rollback"
    async with guarded(AccessSettings((known,))) as desk, client_of(desk) as client:
        await client.post(path, json={"reason": "r", "by": name}, headers=bearer(token))
        assert desk.store.audit[-1].by == f'person "{name}"'
    async with Desk() as desk, client_of(desk) as client:
        await client.post(f"http://localhost{path}", json={"reason": "r", "by": name})
        row = desk.store.audit[-1]
        assert (row.event, row.by, unasked(row.by)) == ("roll_back", f'person "{name}"', False)


class TestSession:
    @in_loop
    async def test_a_browser_logs_in_acts_and_logs_out(self) -> None:
        async with guarded() as desk, client_of(desk) as client:
            assert code(await client.get("/api/session")) == (401, "no_token")
            begun = await client.post("/api/session", json={"token": TOKENS["release_manager"]})
            assert begun.json()["roles"] == ["release_manager"]
            assert "POST /api/models/{model}/rollout/rollback" in begun.json()["may"]
            cookie = begun.headers["set-cookie"]
            assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/"))
            assert TOKENS["release_manager"] not in cookie
            path = f"/api/models/{MODEL}/rollout/pause"
            own = {"origin": "http://control"}
            assert (await client.post(path, json={}, headers=own)).status_code == 200
            assert code(await client.post(path, json={})) == (403, "foreign_origin"), "no browser leaves it out"
            evil = {"origin": "http://evil.example"}
            assert code(await client.post(path, json={}, headers=evil)) == (403, "foreign_origin")
            assert (await client.delete("/api/session", headers=own)).status_code == 204
            client.cookies.set(COOKIE, "s1")
            assert code(await client.get("/api/status")) == (401, "no_token")

    @in_loop
    async def test_a_session_ends_with_its_time_and_with_its_token(self) -> None:
        async with guarded() as desk, client_of(desk) as client:
            await client.post("/api/session", json={"token": TOKENS["viewer"]})
            assert (await client.get("/api/status")).status_code == 200
            others = AccessSettings(tuple(token for token in ACCESS.tokens if token.role is not Role.VIEWER))
            settings = replace(desk.settings, access=others)
            desk.authenticator.prepare(settings)()
            assert code(await client.get("/api/status")) == (401, "bad_token")
            await client.post("/api/session", json={"token": TOKENS["operator"]})
            desk.clock.advance(SESSION_SECONDS)
            assert code(await client.get("/api/status")) == (401, "no_token")

    @in_loop
    async def test_a_bad_token_begins_none(self) -> None:
        async with guarded() as desk, client_of(desk) as client:
            assert code(await client.post("/api/session", json={"token": TOKENS["bad"]})) == (401, "bad_token")
            assert code(await client.post("/api/session", json={"token": TOKENS["expired"]})) == (401, "expired_token")
            assert not client.cookies


class TestWithoutTokens:
    @in_loop
    async def test_whoever_is_at_this_machine_may_do_everything(self) -> None:
        async with Desk() as desk, client_of(desk) as client:
            who = await client.get("http://127.0.0.1:9080/api/session")
            assert (who.json()["required"], len(who.json()["roles"])) == (False, len(Role))

    @pytest.mark.parametrize("host", ["evil.example", "control:9080", "localhost.evil.example", "[", ""])
    @in_loop
    async def test_a_name_that_an_attacker_lets_point_here_is_not_answered(self, host: str) -> None:
        async with Desk() as desk, client_of(desk) as client:
            assert code(await client.get("/api/status", headers={"host": host})) == (421, "foreign_host")

    @pytest.mark.parametrize("host", ["localhost:9080", "127.0.0.1", "[::1]:9080", "10.0.0.7", "a.localhost"])
    @in_loop
    async def test_an_address_is_answered(self, host: str) -> None:
        async with Desk() as desk, client_of(desk) as client:
            assert (await client.get("/api/status", headers={"host": host})).status_code == 200


@in_loop
async def test_every_answer_is_hardened() -> None:
    async with guarded() as desk, client_of(desk) as client:
        for path in ("/", "/api/status", "/nothing", "/metrics", "/-/live"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["x-frame-options"] == "DENY", path
            assert "default-src 'none'" in headers["content-security-policy"], path
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
