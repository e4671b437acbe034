"""Who may come in: every request's bearer, held against the matrix of rights before anything else is read of it."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.requests import Request

from gates.access import Identity, Role, allowed
from gates.api.refusals import Refusal
from gates.authentication import Authenticator, BadToken, ExpiredToken

COOKIE = "penstock_session"
SESSION_SECONDS = 12 * 3600.0
MOST_SESSIONS = 1000
REASONS = ("no_token", "bad_token", "expired_token", "forbidden", "foreign_origin", "foreign_host")


@dataclass(frozen=True, slots=True)
class _Session:
    token: str
    until: float


class Sessions:
    """Browsers that have shown a token once. The token stays here; its browser keeps a name for it, and for no longer
    than the session lasts. A new start of the control plane ends them all."""

    def __init__(self, wall: Callable[[], float], new_id: Callable[[], str]) -> None:
        """`wall` gives seconds since the epoch; `new_id` names that nobody can guess."""
        self._wall = wall
        self._new_id = new_id
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def begin(self, token: str) -> str:
        """The new session's name. The oldest session ends where there are too many."""
        name = self._new_id()
        self._sessions[name] = _Session(token, self._wall() + SESSION_SECONDS)
        if len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return name

    def token(self, name: str) -> str | None:
        """The token that the session began with, None where there is no such session any more."""
        session = self._sessions.get(name)
        if session is None or self._wall() >= session.until:
            self._sessions.pop(name, None)
            return None
        return session.token

    def end(self, name: str) -> None:
        self._sessions.pop(name, None)


class Guard:
    """`refused` counts those who were not let in, by reason."""

    def __init__(self, authenticator: Authenticator, sessions: Sessions) -> None:
        self.refused = dict.fromkeys(REASONS, 0)
        self._authenticator = authenticator
        self.sessions = sessions

    @property
    def required(self) -> bool:
        """Whether anybody is asked for a token."""
        return self._authenticator.required

    async def admit(self, request: Request, route: str) -> Identity:
        """Who asks for the route, once that is found lawful. Raises Refusal."""
        self._require_own_page(request)
        if not self._authenticator.required:
            self._require_own_host(request)
            return Identity(_someone(request), frozenset(Role))
        if allowed(route) is None:
            return Identity(_someone(request), frozenset())
        identity = await self.identify(await self._token(request))
        if not identity.may(route):
            raise self._forbidden(identity, route)
        return identity

    async def identify(self, token: str) -> Identity:
        """Whose the token is. Raises Refusal."""
        try:
            return await self._authenticator.identify(token)
        except ExpiredToken as error:
            raise self._unknown("expired_token", str(error)) from None
        except BadToken as error:
            raise self._unknown("bad_token", str(error)) from None

    async def _token(self, request: Request) -> str:
        """From the header of a program, or from the session of a browser."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
        if scheme:
            raise self._unknown("bad_token", "expected `Authorization: Bearer TOKEN`")
        kept = self.sessions.token(request.cookies.get(COOKIE, ""))
        if kept is None:
            raise self._unknown("no_token", "this control plane asks who you are")
        if request.method not in ("GET", "HEAD") and "origin" not in request.headers:
            # Every browser names the origin of such a request; what does not is no page of ours.
            remedy = "send a token in place of the cookie: `Authorization: Bearer TOKEN`"
            raise self._refuse(403, "foreign_origin", "a session may only be used by the dashboard", remedy)
        return kept

    def _require_own_page(self, request: Request) -> None:
        """A browser says where a request that changes something comes from: a page from elsewhere may not steer a
        control plane that its reader can reach."""
        origin = request.headers.get("origin")
        if origin is None or request.method in ("GET", "HEAD"):
            return
        if origin.partition("://")[2] != request.headers.get("host"):
            host = request.headers.get("host", "")[:200]
            remedy = f"a proxy before the control port has to pass Host on as it comes; what came is {host!r}"
            message = f"a page of {origin[:200]} may not change anything here"
            raise self._refuse(403, "foreign_origin", message, remedy)

    def _require_own_host(self, request: Request) -> None:
        """Without tokens, the address is all that keeps strangers out: a name that an attacker's DNS lets point here
        (rebinding) is no address of ours."""
        if not _is_own(request.headers.get("host", "")):
            remedy = "ask for it as localhost or by its address, or configure access.tokens"
            raise self._refuse(421, "foreign_host", "without tokens, only this machine is answered", remedy)

    def _forbidden(self, identity: Identity, route: str) -> Refusal:
        able = ", ".join(sorted(allowed(route) or ()))
        mine = ", ".join(sorted(identity.roles)) or "no role"
        return self._refuse(403, "forbidden", f"{identity.name} ({mine}) may not {route}", f"roles that may: {able}")

    def _unknown(self, code: str, message: str) -> Refusal:
        remedy = "send a token: PENSTOCK_TOKEN or --token-file on the command line, the log-in of the dashboard"
        return self._refuse(401, code, message, remedy, {"www-authenticate": "Bearer"})

    def _refuse(
        self, status: int, code: str, message: str, remedy: str = "", headers: Mapping[str, str] | None = None
    ) -> Refusal:
        self.refused[code] += 1
        return Refusal(HTTPStatus(status), code, message, remedy, headers or {})


def _someone(request: Request) -> str:
    return f"someone at {request.client.host}" if request.client else "someone"


def _is_own(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
