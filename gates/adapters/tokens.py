"""Tokens: made here, known by their hashes alone, and compared in constant time.

A token is 256 bits of chance, so a fast hash keeps it: there is nothing to guess. One that a person thought up is
refused for that reason.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gates.access import Identity, Role
from gates.ports import Unusable
from gates.settings.access import TokenSettings

PREFIX = "pst_"
"""By which a scanner of repositories and logs knows a token of ours."""
SHORTEST = 32
LONGEST = 16 * 1024
_KEY = ("access", "tokens")
WORKERS = "PENSTOCK_WORKERS_TOKEN"
"""The environment variable by which a control plane and its workers share a token without a configuration."""


class TokenUnusable(Unusable):
    """A token of the configuration that cannot be had; the text names it, and never repeats it."""


def make() -> str:
    """A new token."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """The token's hash, as the configuration has it. Raises TokenUnusable for one that might be guessed."""
    if not SHORTEST <= len(token) <= LONGEST:
        raise TokenUnusable(f"a token has at least {SHORTEST} characters: `penstock token new` makes one")
    return f"sha256:{_sha256(token)}"


@dataclass(frozen=True, slots=True)
class _Known:
    sha256: str
    identity: Identity


class Keyring:
    """The hashes of all tokens that are known."""

    def __init__(self, tokens: Sequence[TokenSettings], environment: Mapping[str, str]) -> None:
        """Raises TokenUnusable."""
        self._known = [_known(token, environment) for token in tokens]
        if shared := environment.get(WORKERS):
            self._known.append(_Known(_sha256(shared), Identity("worker", frozenset({Role.SERVICE_ACCOUNT}))))

    def __bool__(self) -> bool:
        return bool(self._known)

    def find(self, token: str) -> Identity | None:
        """Whose it is, None where nobody's; the time that it takes does not depend on how near it comes to one."""
        sha256 = _sha256(token)
        found = None
        for known in self._known:
            if hmac.compare_digest(known.sha256, sha256):
                found = known.identity
        return found


def _known(token: TokenSettings, environment: Mapping[str, str]) -> _Known:
    sha256 = token.sha256 or _sha256(_secret(token, environment))
    return _Known(sha256, Identity(token.name, frozenset({token.role}), token.until))


def _secret(token: TokenSettings, environment: Mapping[str, str]) -> str:
    """The token itself, from where it is kept."""
    where = f"access.tokens: the token of {token.name}"
    if token.file is None:
        if not (secret := environment.get(token.env, "")):
            raise TokenUnusable(f"{where} is not there: set {token.env} in the control plane's environment", _KEY)
    else:
        try:
            secret = token.file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise TokenUnusable(f"{where} cannot be read from {token.file}: {why}", _KEY) from None
    if not SHORTEST <= len(secret) <= LONGEST:
        raise TokenUnusable(
            f"{where} is not one: a token has at least {SHORTEST} characters; `penstock token new`", _KEY
        )
    return secret


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
