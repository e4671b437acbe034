"""Answers that are no success: each has a status, a code for programs, and for people what is wrong and what helps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gates.access import RELEASE
from gates.controller.aliases import NoRegistry
from gates.controller.controller import UnknownModel
from gates.controller.people import NoGo
from gates.controller.revert import NoSuchPast, Unserved
from gates.controller.routes import Unroutable
from gates.controller.steering import AlreadyChampion, CoolingDown
from gates.decision import MovedOn
from gates.phases import Event, IllegalEvent
from gates.ports import RegistryError, StoreError
from gates.reload import Unsound
from proxy.discretion import discreet


@dataclass(eq=False)  # an exception is told apart by identity, and Python writes its traceback into it
class Refusal(Exception):
    """An answer that is no success, as an exception."""

    status: int
    error: str
    message: str
    remedy: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of every answer that is no success: a code, what is wrong, and what helps."""

    error: str
    message: str
    remedy: str = ""


def refused(refusal: Refusal) -> Response:
    """Behind an address of many control planes, another one may do what this one cannot: the next try is to be a new
    connection."""
    body = msgspec.json.encode(Problem(refusal.error, discreet(refusal.message), refusal.remedy))
    response = Response(body, refusal.status, dict(refusal.headers), media_type="application/json")
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["connection"] = "close"
    return response


def _handler(status: int, code: str, remedy: str = "") -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        return refused(Refusal(status, code, str(error), remedy))

    return handle


async def _handle_illegal(request: Request, error: Exception) -> Response:
    assert isinstance(error, IllegalEvent)
    return refused(Refusal(409, "illegal_event", str(error), _INSTEAD.get(error.event, "")))


async def _handle_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return refused(error)


async def _handle_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    response = refused(
        Refusal(status, status.name.lower(), f"{request.method} {request.scope['path']}: {error.detail}")
    )
    response.headers.update(error.headers or {})
    return response


_INSTEAD = {
    Event.START: "once a rollout has ended, another can be started",
    Event.ROLL_BACK: "to have the version before serve again: `penstock rollback MODEL --to previous`, `to` in the API",
}
"""What helps who asked for an event that the phase does not allow."""
HANDLERS: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    Refusal: _handle_refusal,
    HTTPException: _handle_http,
    UnknownModel: _handler(404, "unknown_model"),
    AlreadyChampion: _handler(409, "already_champion", "name another version"),
    NoGo: _handler(409, "no_go", "mend it, or go on against the gates with an override and a reason"),
    NoSuchPast: _handler(409, "no_such_past"),
    Unserved: _handler(403, "forbidden", f"roles that may let it serve all the same: {', '.join(sorted(RELEASE))}"),
    CoolingDown: _handler(409, "cooling_down", "wait, or start it all the same: --override, `override` in the API"),
    MovedOn: _handler(409, "moved_on", "see where it stands now, and whether it is still to go on"),
    IllegalEvent: _handle_illegal,
    Unsound: _handler(422, "bad_configuration", "mend the files; the last good configuration stays in force"),
    Unroutable: _handler(422, "unroutable"),
    NoRegistry: _handler(422, "no_registry", "name a version number, or configure a registry: mlflow"),
    StoreError: _handler(503, "store_gone", "nothing was changed; a rollback is possible, all else once it is back"),
    RegistryError: _handler(503, "registry_gone", "name a version number, or try again once the registry answers"),
}
"""What the exceptions of the control plane are to its callers."""
