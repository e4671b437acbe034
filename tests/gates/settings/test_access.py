from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gates.access import Role
from gates.settings import SettingsError, load
from gates.settings.access import OPEN, AccessSettings, JwtSettings, TokenSettings

HASH = "0f" * 32


def access(tmp_path: Path, text: str) -> AccessSettings:
    (tmp_path / "penstock.yaml").write_text(f"models: {{}}\naccess:\n{text}")
    return load(tmp_path / "penstock.yaml").access


def test_without_a_section_nobody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text("models: {}\n")
    assert load(tmp_path / "penstock.yaml").access == OPEN
    assert not OPEN.required


def test_tokens_and_a_provider(tmp_path: Path) -> None:
    text = f"""
  tokens:
    - {{name: ada, role: admin, hash: "sha256:{HASH}", expires: 2027-01-31}}
    - {{name: bob, role: viewer, env: BOB}}
    - {{name: eve, role: operator, file: secrets/eve}}
  jwt: {{issuer: "https://id", audience: penstock, jwks: jwks.json, name_claim: email}}
"""
    found = access(tmp_path, text)
    assert found.required
    assert found.tokens == (
        TokenSettings("ada", Role.ADMIN, HASH, until=datetime(2027, 2, 1, tzinfo=UTC).timestamp()),
        TokenSettings("bob", Role.VIEWER, env="BOB"),
        TokenSettings("eve", Role.OPERATOR, file=tmp_path / "secrets" / "eve"),
    )
    jwks = str(tmp_path / "jwks.json")
    assert found.jwt == JwtSettings("https://id", "penstock", jwks, ("RS256", "ES256"), "roles", "email")
    assert HASH not in repr(found)


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("  tokens: [{name: a, role: viewer}]", "access.tokens[0]", "expected one of hash, env and file"),
        ("  tokens: [{name: a, role: king, env: A}]", "access.tokens[0].role", "expected 'viewer'"),
        ("  tokens: [{name: a, role: viewer, env: A, file: b}]", "access.tokens[0]", "expected one of"),
        ("  tokens: [{name: a, role: viewer, hash: hunter2}]", "access.tokens[0].hash", "should match pattern"),
        ("  tokens: [{name: a, role: viewer, env: A, expires: 2027-02-30}]", "access.tokens[0].expires", "day"),
        (
            "  tokens: [{name: a, role: viewer, env: A}, {name: a, role: admin, env: B}]",
            "access.tokens[1].name",
            "a stands twice",
        ),
        ("  jwt: {issuer: i, audience: a, jwks: http://id.example/keys}", "access.jwt.jwks", "expected https"),
        ("  jwt: {issuer: i, audience: a, jwks: ftp://id/keys}", "access.jwt.jwks", "expected an https URL"),
        ("  jwt: {issuer: i, audience: a, jwks: k, algorithms: [HS256]}", "access.jwt.algorithms[0]", "RS256"),
        ("  jwt: {issuer: i, audience: a, jwks: k, algorithms: [none]}", "access.jwt.algorithms[0]", "RS256"),
    ],
)
def test_what_is_wrong_is_told_at_its_key(tmp_path: Path, text: str, key: str, said: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        access(tmp_path, text)
    (problem,) = wrong.value.problems
    assert problem.key == key
    assert said in problem.message
    assert "hunter2" not in problem.message
