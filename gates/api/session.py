"""A browser's log-in: a token is shown once, and a cookie that no script can read stands for it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.responses import Response

from gates.access import MATRIX, Identity
from gates.api.guard import COOKIE, SESSION_SECONDS, Guard
from gates.api.operations import JSON, Call, Operation


class LogIn(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a log-in."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=16 * 1024)]

    def __repr__(self) -> str:
        return "LogIn()"


class Who(msgspec.Struct):
    """Who asks, and which routes they may call; `required` tells whether anybody is asked for a token here."""

    name: str
    roles: tuple[str, ...]
    may: tuple[str, ...]
    required: bool


class Session:
    """The guard's front desk."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def operations(self) -> list[Operation]:
        path = "/api/session"
        return [
            Operation("GET", path, "Who you are, and what you may do.", self._tell, answer=Who, any_time=True),
            Operation(
                *("POST", path, "Log a browser in: the answer sets a cookie, good for 12 hours.", self._begin),
                body=LogIn,
                answer=Who,
                any_time=True,
            ),
            Operation("DELETE", path, "Log the browser out.", self._end, status=204, any_time=True),
        ]

    async def _tell(self, call: Call) -> Who:
        return self._who(call.identity)

    async def _begin(self, call: Call) -> Response:
        who = self._who(await self._guard.identify(call.body.token) if self._guard.required else call.identity)
        response = Response(msgspec.json.encode(who), media_type=JSON)
        if self._guard.required:
            response.set_cookie(
                COOKIE,
                self._guard.sessions.begin(call.body.token),
                max_age=int(SESSION_SECONDS),
                httponly=True,
                samesite="strict",
                secure=call.request.url.scheme == "https",
            )
        return response

    async def _end(self, call: Call) -> Response:
        self._guard.sessions.end(call.request.cookies.get(COOKIE, ""))
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    def _who(self, identity: Identity) -> Who:
        may = tuple(sorted(route for route in MATRIX if identity.may(route)))
        return Who(identity.name, tuple(sorted(identity.roles)), may, self._guard.required)
