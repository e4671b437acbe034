"""The configuration's keys for access: whose tokens are known, and which identity provider is believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gates.access import Role
from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction, written

RoleName = Literal["viewer", "data_scientist", "ml_engineer", "operator", "release_manager", "admin", "service_account"]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Of signatures whose key is no secret to us: with a shared one, whoever verifies could also sign."""
OPEN_PORT = (
    "access: the control port can be reached from other machines, and no tokens are configured: name bearers under "
    "access.tokens (`penstock token new` makes a token), or bind `control` to 127.0.0.1"
)


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """A bearer's name and role, and where the token is: its SHA-256 in hex, or the environment variable or the file
    that holds it. `until` is in seconds since the epoch, None for a token that does not expire."""

    name: str
    role: Role
    sha256: str = field(default="", repr=False)
    env: str = ""
    file: Path | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """An identity provider, and what its tokens have to say. `jwks` is a URL or a file's path."""

    issuer: str
    audience: str
    jwks: str
    algorithms: tuple[str, ...]
    roles_claim: str
    name_claim: str


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Who may use the control port; where nobody is named, whoever reaches it may."""

    tokens: tuple[TokenSettings, ...] = ()
    jwt: JwtSettings | None = None

    @property
    def required(self) -> bool:
        return bool(self.tokens) or self.jwt is not None


OPEN = AccessSettings()


class TokenKeys(Keys):
    """One bearer of a token. `penstock token new` makes a token and its hash."""

    name: kinds.Title
    """Whose it is: the name stands in the audit trail."""
    role: RoleName
    """What it allows."""
    hash: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """The token's hash. The token itself is nowhere but with its bearer."""
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """In place of the hash: the environment variable of the control plane that holds the token."""
    file: kinds.File | None = None
    """In place of the hash: the file that holds the token, such as a mounted secret."""
    expires: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")] | None = None
    """The last day on which it is good, in UTC: 2027-01-31."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(source is not None for source in (self.hash, self.env, self.file)) != 1:
            raise contradiction("expected one of hash, env and file")
        return self

    @field_validator("expires")
    @classmethod
    def _a_day(cls, expires: str | None) -> str | None:
        if expires is not None:
            date.fromisoformat(expires)
        return expires

    def token(self, folder: Path) -> TokenSettings:
        return TokenSettings(
            self.name,
            Role(self.role),
            (self.hash or "").removeprefix("sha256:"),
            self.env or "",
            (folder / self.file).absolute() if self.file else None,
            _end_of(self.expires) if self.expires else None,
        )


class JwtKeys(Keys):
    """An identity provider whose signed tokens (OpenID Connect) are good here as well."""

    issuer: kinds.Title
    """What a token has to say as `iss`."""
    audience: kinds.Title
    """What a token has to say as `aud`: that it was made for this Penstock."""
    jwks: kinds.Title
    """The provider's public keys: an https URL, or a file. Over http only from this machine."""
    algorithms: Annotated[list[Algorithm], Field(min_length=1)] = written(["RS256", "ES256"])
    """The signatures that are good."""
    roles_claim: kinds.JsonPath = "roles"
    """Where a token names its bearer's roles, a text or a list: keys with a dot between levels."""
    name_claim: kinds.Title = "sub"
    """Where a token names its bearer, for the audit trail: sub, email or preferred_username."""

    @field_validator("jwks")
    @classmethod
    def _trustworthy(cls, jwks: str) -> str:
        parts = urlsplit(jwks)
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise contradiction("expected https: whoever could change the keys on their way could sign as anybody")
        if parts.scheme not in ("", "http", "https"):
            raise contradiction("expected an https URL, or the path of a file")
        return jwks

    def jwt(self, folder: Path) -> JwtSettings:
        jwks = self.jwks if urlsplit(self.jwks).scheme else str((folder / self.jwks).absolute())
        return JwtSettings(self.issuer, self.audience, jwks, tuple(self.algorithms), self.roles_claim, self.name_claim)


class AccessKeys(Keys):
    """Who may use the control port. Without tokens and jwt it has to be bound to this machine's own address."""

    tokens: list[TokenKeys] = written([])
    """The bearers of tokens."""
    jwt: JwtKeys | None = None
    """An identity provider."""

    @field_validator("tokens")
    @classmethod
    def _told_apart(cls, tokens: list[TokenKeys]) -> list[TokenKeys]:
        names = [token.name for token in tokens]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise contradiction(f"{name} stands twice: give each token a name of its own", index, "name")
        return tokens

    def access(self, folder: Path) -> AccessSettings:
        jwt = self.jwt.jwt(folder) if self.jwt else None
        return AccessSettings(tuple(token.token(folder) for token in self.tokens), jwt)


def _end_of(day: str) -> float:
    return (datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) + timedelta(days=1)).timestamp()


assert get_args(RoleName) == tuple(Role), "the configuration names the roles that there are"
