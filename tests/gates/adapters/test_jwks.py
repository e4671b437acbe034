"""Tokens of an identity provider, signed with real keys that a real server publishes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gates.access import Role
from gates.adapters.jwks import REFRESH_SECONDS, RETRY_SECONDS, BadToken, ExpiredToken, Provider
from gates.settings.access import JwtSettings
from tests.control import in_loop
from tests.fakes import FakeClock

ISSUER, AUDIENCE = "https://id.example", "penstock"


@dataclass
class Issuer:
    """Publishes its keys, and counts how often it is asked for them."""

    keys: dict[str, Any] = field(default_factory=dict)
    asked: int = 0
    broken: bool = False

    @cached_property
    def server(self) -> ThreadingHTTPServer:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(500 if issuer.broken else 200)
                self.end_headers()
                self.wfile.write(issuer.jwks.encode())

            def log_message(self, *_: object) -> None:
                """Silent."""

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def jwks(self) -> str:
        published = []
        for kid, key in self.keys.items():
            algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
            published.append(json.loads(algorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"})
        return json.dumps({"keys": published})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/jwks"

    def token(self, kid: str = "one", key: Any = None, algorithm: str = "", **changes: Any) -> str:
        key = key or self.keys[kid]
        algorithm = algorithm or ("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": time.time() + 600, "roles": ["operator"]}
        claims |= changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key, algorithm, headers={"kid": kid})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer({"one": rsa.generate_private_key(65_537, 2048), "two": ec.generate_private_key(ec.SECP256R1())})
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def provider(jwks: str, clock: FakeClock | None = None, **changes: Any) -> Provider:
    settings = {"algorithms": ("RS256", "ES256"), "roles_claim": "roles", "name_claim": "sub"} | changes
    return Provider(JwtSettings(ISSUER, AUDIENCE, jwks, **settings), (clock or FakeClock()).monotonic)


@in_loop
async def test_a_signed_token_names_its_bearer_and_roles(issuer: Issuer) -> None:
    ours = provider(issuer.url)
    for kid in ("one", "two"):
        identity = await ours.identify(issuer.token(kid))
        assert (identity.name, identity.roles) == ("ada", frozenset({Role.OPERATOR}))
    assert issuer.asked == 1


@in_loop
async def test_the_keys_may_be_a_file(issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(issuer.jwks)
    assert (await provider(str(file)).identify(issuer.token())).name == "ada"


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"roles": "admin"}, {Role.ADMIN}),
        ({"roles": ["viewer", "operator", "king"]}, {Role.VIEWER, Role.OPERATOR}),
        ({"roles": None}, set()),
        ({"roles": {"admin": True}}, set()),
        ({"roles": [["admin"], 3]}, set()),
    ],
)
@in_loop
async def test_only_roles_that_there_are_count(issuer: Issuer, claims: dict[str, Any], roles: set[Role]) -> None:
    assert (await provider(issuer.url).identify(issuer.token(**claims))).roles == roles


@in_loop
async def test_roles_may_stand_deeper(issuer: Issuer) -> None:
    token = issuer.token(realm_access={"roles": ["admin"]})
    assert (await provider(issuer.url, roles_claim="realm_access.roles").identify(token)).roles == {Role.ADMIN}


STRANGER = rsa.generate_private_key(65_537, 2048)


def bad_tokens(issuer: Issuer) -> dict[str, str]:
    good = issuer.token()
    head, body, signature = good.split(".")
    return {
        "another issuer": issuer.token(iss="https://evil.example"),
        "another audience": issuer.token(aud="somebody"),
        "no issuer": issuer.token(iss=None),
        "no audience": issuer.token(aud=None),
        "no end": issuer.token(exp=None),
        "no name": issuer.token(sub=None),
        "a name of control characters": issuer.token(sub="a\nb"),
        "not yet": issuer.token(nbf=time.time() + 600),
        "signed by a stranger": issuer.token(key=STRANGER),
        "an unknown key": issuer.token("three", key=STRANGER),
        "unsigned": jwt.encode({"sub": "ada", "iss": ISSUER, "aud": AUDIENCE, "exp": 9e9}, "", "none"),
        "signed with a shared secret": jwt.encode({"sub": "ada"}, "x" * 64, "HS256", {"kid": "one"}),
        "another algorithm": issuer.token(algorithm="RS384"),
        "a changed body": f"{head}.{body[:-2]}xx.{signature}",
        "no signature": f"{head}.{body}.",
        "no token": "a.b.c",
        "empty": "..",
    }


@in_loop
async def test_bad_tokens_are_refused_and_never_told(issuer: Issuer) -> None:
    ours = provider(issuer.url)
    await ours.identify(issuer.token())
    for why, token in bad_tokens(issuer).items():
        with pytest.raises(BadToken) as refused:
            await ours.identify(token)
        assert token not in str(refused.value), why


@in_loop
async def test_an_expired_token_is_told_apart(issuer: Issuer) -> None:
    with pytest.raises(ExpiredToken):
        await provider(issuer.url).identify(issuer.token(exp=time.time() - 600))


@in_loop
async def test_keys_are_asked_for_seldom_whatever_strangers_send(issuer: Issuer) -> None:
    clock = FakeClock()
    ours = provider(issuer.url, clock)
    for _ in range(50):
        with pytest.raises(BadToken):
            await ours.identify(issuer.token("three", key=STRANGER))
    assert issuer.asked == 1
    issuer.keys["three"] = STRANGER
    clock.advance(RETRY_SECONDS + 1)
    assert (await ours.identify(issuer.token("three"))).name == "ada"
    issuer.broken = True
    clock.advance(REFRESH_SECONDS + 1)
    assert (await ours.identify(issuer.token())).name == "ada", "the keys that are known stay good"
