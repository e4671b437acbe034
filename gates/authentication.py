"""Who asks: a token of the configuration, or one of the identity provider, told from all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gates.access import Identity
from gates.adapters.jwks import BadToken, ExpiredToken, Provider
from gates.adapters.tokens import LONGEST, Keyring
from gates.ports import Clock, Unusable
from gates.settings import Settings
from gates.settings.access import OPEN_PORT, AccessSettings

__all__ = ["Authenticator", "BadToken", "ExpiredToken"]


class Authenticator:
    """Follows the configuration: a token that is taken out of it is good no more."""

    def __init__(
        self, access: AccessSettings, environment: Mapping[str, str], clock: Clock, reachable: bool = False
    ) -> None:
        """`reachable` tells whether the control port can be reached from other machines. Raises Unusable."""
        self._environment = environment
        self._clock = clock
        self._access = access
        self._reachable = reachable
        self._keyring = self._checked(access)
        self._provider = self._provided(access)

    @property
    def required(self) -> bool:
        """Whether anybody is asked for a token: the workers' own token alone asks nobody else for one."""
        return self._access.required

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """What makes these settings count. Raises Unusable."""
        keyring = self._checked(settings.access)
        same = settings.access.jwt == self._access.jwt
        provider = self._provider if same else self._provided(settings.access)

        def follow() -> None:
            self._access, self._keyring, self._provider = settings.access, keyring, provider

        return follow

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

    def _checked(self, access: AccessSettings) -> Keyring:
        """Its tokens. Raises Unusable, also where it would leave a port that others reach open to all."""
        if self._reachable and not access.required:
            raise Unusable(OPEN_PORT, ("control",))
        return Keyring(access.tokens, self._environment)

    def _provided(self, access: AccessSettings) -> Provider | None:
        return None if access.jwt is None else Provider(access.jwt, self._clock.monotonic)
