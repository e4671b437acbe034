"""Who asks: a token of the configuration, or one of the identity provider, told from all others."""

from __future__ import annotations

from collections.abc import Mapping

from gates.access import Identity
from gates.adapters.jwks import BadToken, ExpiredToken, Provider
from gates.adapters.tokens import LONGEST, Keyring
from gates.ports import Clock
from gates.settings import Settings
from gates.settings.access import AccessSettings

__all__ = ["Authenticator", "BadToken", "ExpiredToken"]


class Authenticator:
    """Follows the configuration: a token that is taken out of it is good no more."""

    def __init__(self, access: AccessSettings, environment: Mapping[str, str], clock: Clock) -> None:
        """Raises TokenUnusable."""
        self._environment = environment
        self._clock = clock
        self._access = access
        self._keyring = Keyring(access.tokens, environment)
        self._provider = self._provided(access)

    @property
    def required(self) -> bool:
        """Whether anybody is asked for a token: the workers' own token alone asks nobody else for one."""
        return self._access.required

    def keyring(self, settings: Settings) -> Keyring:
        """The tokens of other settings. Raises TokenUnusable."""
        return Keyring(settings.access.tokens, self._environment)

    def follow(self, settings: Settings, keyring: Keyring) -> None:
        """Go by these settings from now on."""
        if settings.access.jwt != self._access.jwt:
            self._provider = self._provided(settings.access)
        self._access, self._keyring = settings.access, keyring

    async def identify(self, token: str) -> Identity:
        """Raises BadToken, ExpiredToken."""
        if len(token) > LONGEST:
            raise BadToken(f"the token is over {LONGEST} characters")
        identity = self._keyring.find(token)
        if identity is None:
            if self._provider is None or token.count(".") != 2:
                raise BadToken("the token is not known here")
            identity = await self._provider.identify(token)
        if identity.until is not None and self._clock.wall() >= identity.until:
            raise ExpiredToken("the token has expired")
        return identity

    def _provided(self, access: AccessSettings) -> Provider | None:
        return None if access.jwt is None else Provider(access.jwt, self._clock.monotonic)
