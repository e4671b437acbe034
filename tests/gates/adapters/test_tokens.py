from __future__ import annotations

from pathlib import Path

import pytest

from gates.access import Role
from gates.adapters.tokens import PREFIX, WORKERS, Keyring, TokenUnusable, hash_of, make
from gates.settings.access import TokenSettings


def test_no_two_tokens_are_the_same_and_each_is_long_enough() -> None:
    made = {make() for _ in range(1000)}
    assert len(made) == 1000
    assert all(token.startswith(PREFIX) and hash_of(token) for token in made)


def test_a_token_is_known_by_its_hash_its_variable_or_its_file(tmp_path: Path) -> None:
    hashed, held, kept = make(), make(), make()
    (tmp_path / "token").write_text(f"{kept}\n")
    ring = Keyring(
        [
            TokenSettings("a", Role.VIEWER, hash_of(hashed).removeprefix("sha256:")),
            TokenSettings("b", Role.ADMIN, env="B"),
            TokenSettings("c", Role.OPERATOR, file=tmp_path / "token"),
        ],
        {"B": held},
    )
    names = {token: found.name for token in (hashed, held, kept) if (found := ring.find(token))}
    assert names == {hashed: "a", held: "b", kept: "c"}
    assert not any(map(ring.find, (make(), "", hashed[:-1], hashed + "x", "\udcff", hash_of(hashed))))


def test_the_workers_token_comes_with_the_environment() -> None:
    token = make()
    found = Keyring([], {WORKERS: token}).find(token)
    assert found is not None
    assert found.roles == {Role.SERVICE_ACCOUNT}


@pytest.mark.parametrize("held", [{}, {"B": ""}, {"B": "password1"}])
def test_a_variable_that_holds_no_token_is_named_and_never_told(held: dict[str, str]) -> None:
    with pytest.raises(TokenUnusable) as unusable:
        Keyring([TokenSettings("ada", Role.VIEWER, env="B")], held)
    assert "ada" in str(unusable.value)
    assert "password1" not in str(unusable.value)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 40])
def test_a_file_that_holds_no_token_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    for _ in range(2):
        with pytest.raises(TokenUnusable, match="ada"):
            Keyring([TokenSettings("ada", Role.VIEWER, file=file)], {})
        file.write_bytes(content)


@pytest.mark.parametrize("token", ["", "hunter2", "x" * 31, "x" * 20_000])
def test_what_could_be_guessed_gets_no_hash(token: str) -> None:
    with pytest.raises(TokenUnusable):
        hash_of(token)
