"""Tokens of an identity provider: JSON Web Tokens, verified by PyJWT with the provider's published keys.

What a token has to be: signed by a key of the set with an allowed algorithm (RFC 8725, 3.1: the token does not
choose), of this issuer, for this audience, and not expired.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import jwt

from gates.access import Identity, Role
from gates.settings.access import JwtSettings

logger = logging.getLogger("penstock.control")

FETCH_SECONDS = 5.0
MAX_KEYS = 1024 * 1024
REFRESH_SECONDS = 300.0
"""Keys are asked for anew after so long; while the provider is gone, those that are known stay good."""
RETRY_SECONDS = 15.0
"""No sooner than that, whatever unknown keys the tokens of strangers name."""
LEEWAY_SECONDS = 30.0


class BadToken(Exception):
    """The token is none of the provider's, or says something else than it has to. The text never repeats it."""


class ExpiredToken(BadToken):
    """It was good once."""


class Provider:
    """One identity provider. `monotonic` gives seconds."""

    def __init__(self, settings: JwtSettings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._fetching = asyncio.Lock()

    async def identify(self, token: str) -> Identity:
        """Raises BadToken, ExpiredToken."""
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=self._settings.algorithms,
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise ExpiredToken("the token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise BadToken(f"the token is not good: {type(error).__name__}") from None
        return self._identity(claims)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        name = claims.get(self._settings.name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
            raise BadToken(f"the token has no {self._settings.name_claim}, by which its bearer would be named")
        said: Any = claims
        for step in self._settings.roles_claim.split("."):
            said = said.get(step) if isinstance(said, Mapping) else None
        named = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        roles = frozenset(role for role in Role if role.value in named)
        return Identity(name, roles, float(claims["exp"]))

    async def _key(self, kid: str) -> jwt.PyJWK:
        async with self._fetching:
            now = self._monotonic()
            stale = now - self._fetched > REFRESH_SECONDS or kid not in self._keys
            if stale and now - self._tried > RETRY_SECONDS:
                self._tried = now
                await self._fetch(now)
        if kid not in self._keys:
            raise BadToken("the token is signed by a key that its issuer does not publish")
        return self._keys[kid]

    async def _fetch(self, now: float) -> None:
        try:
            keys = jwt.PyJWKSet.from_dict(await _read(self._settings.jwks)).keys
        except (OSError, ValueError, httpx2.HTTPError, jwt.PyJWTError) as error:
            logger.warning("the keys of %s cannot be had: %s", self._settings.issuer, error)
            return
        self._keys, self._fetched = {key.key_id or "": key for key in keys}, now


async def _read(jwks: str) -> dict[str, Any]:
    """Raises OSError, ValueError and httpx2.HTTPError."""
    if "://" not in jwks:
        raw = await asyncio.to_thread(Path(jwks).read_bytes)
    else:
        async with httpx2.AsyncClient(timeout=FETCH_SECONDS, trust_env=False) as client:
            response = await client.get(jwks)
            response.raise_for_status()
            raw = response.content
    if len(raw) > MAX_KEYS:
        raise ValueError(f"they are over {MAX_KEYS} bytes")
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("they are no JSON object")
    return found
