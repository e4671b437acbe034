"""The control port: what people and programs ask, what workers pull and push, and what Prometheus reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from importlib.resources import files
from typing import Annotated, Any, TypeVar

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from gates.controller.controller import Controller, UnknownModel
from gates.controller.errands import Errands
from gates.controller.routes import Unroutable
from gates.controller.steering import AlreadyChampion, CoolingDown
from gates.decision import Command
from gates.metrics import Metrics
from gates.phases import Event, IllegalEvent
from gates.ports import RegistryError, StoreError
from gates.status import ControlStatus, RegistryStatus
from proxy.window import decode_push

T = TypeVar("T")

POLL_SECONDS = 20.0
MAX_WISH = 64 * 1024
MAX_PUSH = 16 * 1024 * 1024
MAX_EVENTS = 1000

WISHES = {
    "advance": Event.CLIMB,
    "pause": Event.PAUSE,
    "resume": Event.RESUME,
    "rollback": Event.ROLL_BACK,
    "promote": Event.PROMOTE,
}

# PostgreSQL keeps no NUL; a rollback that could never be recorded would hold up all that comes after it.
STORABLE = r"^[^\x00]*$"
Name = Annotated[str, msgspec.Meta(max_length=200, pattern=STORABLE)]
Reason = Annotated[str, msgspec.Meta(max_length=2000, pattern=STORABLE)]


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """The body of advance, pause, resume, rollback and promote."""

    by: Name = ""
    reason: Reason = ""


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a rollout's start; `candidate` is a version, or an alias such as "@challenger". `override` starts it
    whatever the cool-down after a rollback."""

    candidate: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    by: Name = ""
    reason: Reason = ""
    override: bool = False


@dataclass(eq=False)  # an exception is told apart by identity, and Python writes its traceback into it
class Refusal(Exception):
    """An answer that is no success, and its JSON: a code, what is wrong, and what helps."""

    status: int
    error: str
    message: str
    remedy: str = ""


def create_app(controller: Controller, errands: Errands | None) -> Starlette:
    """The app over a controller that somebody else runs."""
    doors = _Doors(controller, errands)
    model = "/api/models/{model}"
    return Starlette(
        routes=[
            Route("/", doors.page),
            Route("/api/status", doors.status),
            Route("/api/models", doors.models),
            Route(model, doors.model),
            Route(f"{model}/events", doors.events),
            Route(f"{model}/rollout", doors.start, methods=["POST"]),
            Route(f"{model}/rollout/{{wish}}", doors.wish, methods=["POST"]),
            Route("/link/snapshot", doors.snapshot),
            Route("/link/windows", doors.windows, methods=["POST"]),
            Route("/metrics", doors.metrics),
            Route("/-/live", doors.live),
            Route("/-/ready", doors.ready),
        ],
        exception_handlers=_HANDLERS,
    )


class _Doors:
    """The endpoints; each is one call of the controller."""

    def __init__(self, controller: Controller, errands: Errands | None) -> None:
        self._controller = controller
        self._errands = errands
        self._registry = CollectorRegistry()
        self._registry.register(Metrics(controller, errands))
        self._page = files("gates").joinpath("page.html").read_text("utf-8")

    # for people and programs

    async def page(self, request: Request) -> Response:
        policy = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
        return HTMLResponse(self._page, headers={"content-security-policy": f"{policy}; frame-ancestors 'none'"})

    async def status(self, request: Request) -> Response:
        return _json(self._status())

    async def models(self, request: Request) -> Response:
        return _json(self._status().models)

    async def model(self, request: Request) -> Response:
        self._require_started()
        return _json(self._controller.model_status(request.path_params["model"]))

    async def events(self, request: Request) -> Response:
        self._require_started()
        limit = _number(request, "limit", default=100, least=1, most=MAX_EVENTS)
        return _json(await self._controller.events(request.path_params["model"], limit))

    async def start(self, request: Request) -> Response:
        self._require_started()
        model, body = request.path_params["model"], await _body(request, Start)
        by = body.by or _caller(request)
        await self._controller.start_rollout(model, body.candidate, by, body.reason, body.override)
        return _json(self._controller.model_status(model), 201)

    async def wish(self, request: Request) -> Response:
        self._require_started()
        model, wish = request.path_params["model"], request.path_params["wish"]
        if wish not in WISHES:
            raise Refusal(404, "unknown_wish", f"a rollout cannot {wish!r}", f"possible: {', '.join(WISHES)}")
        body = await _body(request, Wish)
        if wish == "rollback" and not body.reason.strip():
            remedy = 'send {"reason": "..."}: whoever reads the history will want to know'
            raise Refusal(422, "reason_missing", "a rollback needs a reason", remedy)
        await self._controller.command(model, Command(WISHES[wish], body.by or _caller(request), body.reason))
        return _json(self._controller.model_status(model))

    # for workers

    async def snapshot(self, request: Request) -> Response:
        """The long poll: 200 with the snapshot, or 204 where nothing changed for 20 s."""
        self._require_started()
        worker = request.query_params.get("worker", "")
        if not 0 < len(worker) <= 200:
            raise Refusal(422, "bad_query", "expected worker=ID")
        generation = _number(request, "generation", default=0, least=0)
        raw = await self._controller.poll(worker, generation, POLL_SECONDS)
        return Response(status_code=204) if raw is None else Response(raw, media_type="application/json")

    async def windows(self, request: Request) -> Response:
        self._require_started()
        try:
            push = decode_push(await _read(request, MAX_PUSH))
        except ValueError as error:
            raise Refusal(422, "bad_push", str(error)) from None
        if "\0" in push.worker:
            raise Refusal(422, "bad_push", "the worker's name holds a NUL")
        self._controller.push(push)
        return Response(status_code=204)

    # for whoever keeps it running

    async def metrics(self, request: Request) -> Response:
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._registry), headers={"content-type": kind})

    async def live(self, request: Request) -> Response:
        return PlainTextResponse("live\n")

    async def ready(self, request: Request) -> Response:
        self._require_started()
        if self._controller.store_trouble:
            raise StoreError(self._controller.store_trouble)
        return PlainTextResponse("ready\n")

    def _status(self) -> ControlStatus:
        self._require_started()
        errands = self._errands
        registry = None if errands is None else RegistryStatus(errands.waiting, errands.trouble)
        return replace(self._controller.status(), registry=registry)

    def _require_started(self) -> None:
        if not self._controller.started:
            if rival := self._controller.rival:
                cause = f"{rival} acts on this store; this control plane waits to take over"
                raise Refusal(503, "not_acting", cause, "ask that one, or try again")
            cause = self._controller.store_trouble or "it has only just begun"
            raise Refusal(503, "not_started", f"the control plane has not started yet: {cause}", "try again soon")


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _caller(request: Request) -> str:
    return f"someone at {request.client.host}" if request.client else "someone"


def _number(request: Request, name: str, default: int, least: int, most: int | None = None) -> int:
    text = request.query_params.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
    if number < least or (most is not None and number > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise Refusal(422, "bad_query", f"{name}={text}: expected a whole number {bounds}")
    return number


async def _body(request: Request, kind: type[T]) -> T:
    raw = await _read(request, MAX_WISH)
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (ValueError, RecursionError) as error:
        raise Refusal(422, "bad_body", str(error), f"expected {', '.join(kind.__annotations__)} as JSON") from None


async def _read(request: Request, limit: int) -> bytes:
    """The whole body, refused as soon as it is over `limit` bytes.

    A browser says where a POST comes from: a page from elsewhere may not steer a control plane that its reader can
    reach."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Refusal(403, "foreign_origin", f"a page of {origin} may not change anything here")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Refusal(413, "body_too_large", f"the body is over {limit} bytes")
    return bytes(body)


def _refused(refusal: Refusal) -> Response:
    body = {"error": refusal.error, "message": refusal.message}
    return _json(body | ({"remedy": refusal.remedy} if refusal.remedy else {}), refusal.status)


def _handler(status: int, code: str, remedy: str = "") -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        return _refused(Refusal(status, code, str(error), remedy))

    return handle


async def _handle_refusal(request: Request, error: Exception) -> Response:
    """Behind an address of many control planes, another one may do what this one cannot: the next try is to be a new
    connection."""
    assert isinstance(error, Refusal)
    response = _refused(error)
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["connection"] = "close"
    return response


async def _handle_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    response = _refused(
        Refusal(status, status.name.lower(), f"{request.method} {request.scope['path']}: {error.detail}")
    )
    response.headers.update(error.headers or {})
    return response


_HANDLERS: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    Refusal: _handle_refusal,
    HTTPException: _handle_http,
    UnknownModel: _handler(404, "unknown_model"),
    AlreadyChampion: _handler(409, "already_champion", "name another version"),
    CoolingDown: _handler(409, "cooling_down", "wait, or start it all the same: --override, `override` in the API"),
    IllegalEvent: _handler(409, "illegal_event", "once a rollout has ended, another can be started"),
    Unroutable: _handler(422, "unroutable"),
    StoreError: _handler(503, "store_gone", "nothing was changed; a rollback is possible, all else once it is back"),
    RegistryError: _handler(503, "registry_gone", "name a version number, or try again once the registry answers"),
}
