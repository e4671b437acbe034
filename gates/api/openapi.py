"""The OpenAPI document of the control port, made from the same operations that its routes are made from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from gates.access import allowed
from gates.api.guard import COOKIE
from gates.api.operations import JSON, Call, Operation
from gates.api.refusals import Problem
from proxy import __version__

Schema = dict[str, Any]

PATH = "/api/openapi.json"
_SCHEMAS = "#/components/schemas/{name}"
_REFUSALS = {
    401: "No token, or one that is not good.",
    403: "The bearer's roles do not allow it, or a page from elsewhere asks.",
    404: "There is no such thing; the message names those that there are.",
    409: "Not as things stand; the message says what is possible.",
    413: "The body is too large.",
    421: "Without tokens, only this machine is answered.",
    422: "What was asked is not lawful; the message says why.",
    503: "This control plane does not act, or something that it needs is gone: try again.",
}


class OpenApi:
    """Describes the operations, itself among them."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        tells = "This document."
        self._own = Operation("GET", PATH, tells, self._show, answer=dict[str, Any], any_time=True)
        self._document = msgspec.json.encode(document([*operations, self._own]))

    def operations(self) -> list[Operation]:
        return [self._own]

    async def _show(self, call: Call) -> Response:
        return Response(self._document, media_type=JSON)


def document(operations: Sequence[Operation]) -> Schema:
    """An OpenAPI 3.1 document."""
    kinds = [kind for each in operations for kind in (each.query, each.body, each.answer) if kind is not None]
    schemas, components = msgspec.json.schema_components([*kinds, Problem], ref_template=_SCHEMAS)
    known = dict(zip(map(repr, [*kinds, Problem]), schemas, strict=True))
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _page(operation, known, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Penstock's control port",
            "version": __version__,
            "description": "How rollouts stand, what happened to them, and what is to happen next.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _page(operation: Operation, known: dict[str, Schema], components: dict[str, Schema]) -> Schema:
    roles = allowed(operation.route)
    page: Schema = {
        "operationId": re.sub(r"\W+", "_", operation.route.lower()).strip("_"),
        "summary": operation.tells,
        "parameters": [*_places(operation), *_queries(operation, known, components)],
        "responses": _responses(operation, known),
        "security": [] if roles is None else [{"token": []}, {"session": []}],
    }
    if roles is not None:
        page["x-roles"] = sorted(roles)
    if operation.body is not None:
        needed = _needed(known[repr(operation.body)], components)
        content = {"schema": known[repr(operation.body)], **_examples(operation)}
        page["requestBody"] = {"required": needed, "content": {JSON: content}}
    elif operation.method == "POST":
        page["requestBody"] = {"required": True, "content": {JSON: {"schema": {"type": "object"}}}}
    return page


def _examples(operation: Operation) -> Schema:
    return (
        {"examples": {name: {"value": value} for name, value in operation.examples.items()}}
        if operation.examples
        else {}
    )


def _needed(schema: Schema, components: dict[str, Schema]) -> bool:
    """Whether no body at all is too little: it is read as an object without keys."""
    alternatives = (_resolved(each, components) for each in schema.get("anyOf", (schema,)))
    return all(each.get("required") or each.get("type") != "object" for each in alternatives)


def _places(operation: Operation) -> Iterator[Schema]:
    for name in re.findall(r"{(\w+)}", operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _queries(operation: Operation, known: dict[str, Schema], components: dict[str, Schema]) -> Iterator[Schema]:
    if operation.query is None:
        return
    schema = _resolved(known[repr(operation.query)], components)
    for name, each in schema["properties"].items():
        yield {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": each}


def _responses(operation: Operation, known: dict[str, Schema]) -> Schema:
    done: Schema = {"description": "Done."}
    if operation.answer is not None:
        done["content"] = {JSON: {"schema": known[repr(operation.answer)]}}
    elif operation.status != 204:
        done["content"] = {operation.media: {}}
    problem = {"content": {JSON: {"schema": known[repr(Problem)]}}}
    refusals = {str(status): {"description": _REFUSALS[status], **problem} for status in _statuses(operation)}
    also = {str(status): {"description": tells} for status, tells in operation.also.items()}
    return {str(operation.status): done, **also, **refusals}


def _statuses(operation: Operation) -> Iterable[int]:
    """The refusals that may come: those of the guard, of what is read, and of what is asked for."""
    if allowed(operation.route) is not None or operation.method == "POST":  # a log-in shows its token in the body
        yield 401
    yield 403
    if "{" in operation.path:
        yield 404
    if operation.method == "POST":
        yield from (409, 413)
    yield 421
    if operation.method == "POST" or operation.query is not None:
        yield 422
    if not operation.any_time:
        yield 503


def _resolved(schema: Schema, components: dict[str, Schema]) -> Schema:
    return components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
