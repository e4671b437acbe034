"""What the control port can be asked: each operation is one value, from which come its route, its rights and its page
in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_type_hints

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gates.access import Identity, allowed
from gates.api.guard import Guard
from gates.api.refusals import Refusal
from gates.controller.reconcile import CONFIGURATION
from gates.decision import unasked
from proxy.discretion import discreet

JSON = "application/json"
MAX_BODY = 64 * 1024

# PostgreSQL keeps no NUL; a rollback that could never be recorded would hold up all that comes after it.
STORABLE = r"^[^\x00]*$"
Name = Annotated[str, msgspec.Meta(max_length=200, pattern=STORABLE)]
Reason = Annotated[str, msgspec.Meta(max_length=2000, pattern=STORABLE)]
Version = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=STORABLE)]
"""A version, or an alias such as "@challenger"."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of an operation, read and found lawful: `query` and `body` are of the operation's types."""

    request: Request
    identity: Identity
    query: Any
    body: Any

    known: bool = False
    """Whether the identity was told by a token."""

    @property
    def model(self) -> str:
        return str(self.request.path_params["model"])

    @property
    def caller(self) -> str:
        """Who asks, for the record. Where tokens are asked for, the token's name stands first, whatever the body says;
        where they are not, the body is believed."""
        mine, said = _person(self.identity.name), _person(getattr(self.body, "by", ""))
        if not said or said == mine:
            return mine
        return f"{mine} (for {said})" if self.known else said


@dataclass(frozen=True, slots=True)
class Operation:
    """`query` and `body` are the types, as msgspec takes them, of what is asked, `answer` that of what `act` returns, a
    JSON value; where it is None, `act` returns the Response itself, of the `media` type. It may do so in any case.

    A body is of `max_body` bytes at most; `examples` are some, by name. One without a type is `act`'s own to read.
    `any_time` operations are answered before the control plane acts, too."""

    method: str
    path: str
    tells: str
    act: Callable[[Call], Awaitable[Any]]
    query: type[msgspec.Struct] | None = None
    body: Any = None
    max_body: int = MAX_BODY
    examples: Mapping[str, Any] = field(default_factory=dict)
    answer: Any = None
    status: int = 200
    media: str = JSON
    any_time: bool = False
    also: Mapping[int, str] = field(default_factory=dict)
    """Other statuses of success, and what each one tells."""

    @property
    def route(self) -> str:
        """Its name in the matrix of rights."""
        return f"{self.method} {self.path}"


def _person(name: str) -> str:
    """Nobody is taken for the controller, a gate or the configuration by their name."""
    return f'person "{name}"' if unasked(name) or name == CONFIGURATION else name


def mount(operations: Iterable[Operation], guard: Guard, require_acting: Callable[[], None]) -> list[Route]:
    """The routes. Raises LookupError for an operation that the matrix of rights does not name.

    `require_acting` raises Refusal while this control plane does not act."""
    return [_route(operation, guard, require_acting) for operation in operations]


def _route(operation: Operation, guard: Guard, require_acting: Callable[[], None]) -> Route:
    allowed(operation.route)

    async def endpoint(request: Request) -> Response:
        identity = await guard.admit(request, operation.route)
        if not operation.any_time:
            require_acting()
        query, body = _query(request, operation.query), await _body(request, operation)
        answer = await operation.act(Call(request, identity, query, body, guard.required))
        if isinstance(answer, Response):
            return answer
        return Response(msgspec.json.encode(answer), operation.status, media_type=JSON)

    return Route(operation.path, endpoint, methods=[operation.method])


def _query(request: Request, kind: type[msgspec.Struct] | None) -> Any:
    if kind is None:
        return None
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal(422, "bad_query", str(error), f"expected {_named(kind)} in the query") from None


async def _body(request: Request, operation: Operation) -> Any:
    if operation.body is None:
        return None
    raw = await read(request, operation.max_body)
    try:
        body = msgspec.json.decode(raw or b"{}", type=operation.body)
    except (ValueError, RecursionError) as error:
        raise Refusal(422, "bad_body", str(error), f"expected {_named(operation.body)} as JSON") from None
    for name in _on_record(type(body)):
        setattr(body, name, discreet(getattr(body, name)))
    return body


def _on_record(kind: type) -> tuple[str, ...]:
    """The fields of a body that go on record, and from there to logs, alerts and the registry."""
    if not issubclass(kind, msgspec.Struct):
        return ()
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name, hint in hints.items() if hint in (Name, Reason, Version))


def _named(kind: Any) -> str:
    """The keys of what is asked for; of alternatives, those of the one that has some."""
    keys = (getattr(one, "__struct_fields__", None) or getattr(one, "__match_args__", ()) for one in _either(kind))
    return ", ".join(next(filter(None, keys), ()))


def _either(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) or (kind,)


async def read(request: Request, limit: int) -> bytes:
    """The whole body, refused as soon as it is over `limit` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Refusal(413, "body_too_large", f"the body is over {limit} bytes")
    return bytes(body)
