from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import jsonschema
import msgspec

from gates.access import MATRIX
from gates.api import create_app
from gates.api.openapi import document
from gates.api.operations import Call, Operation
from tests.control import Desk, in_loop


async def published() -> dict[str, Any]:
    desk = Desk()
    app = create_app(desk.controller, None, desk.reloader, desk.guard, desk.alerting)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as client:
        found: dict[str, Any] = (await client.get("/api/openapi.json")).json()
        return found


@in_loop
async def test_it_tells_of_every_route_and_of_who_may_call_it() -> None:
    found = await published()
    pages = {
        f"{method.upper()} {path}": page for path, methods in found["paths"].items() for method, page in methods.items()
    }
    assert pages.keys() == MATRIX.keys()
    for route, roles in MATRIX.items():
        assert pages[route].get("x-roles") == (None if roles is None else sorted(roles)), route
        assert bool(pages[route]["security"]) == (roles is not None), route
    ids = [page["operationId"] for page in pages.values()]
    assert len(set(ids)) == len(ids)


@in_loop
async def test_every_reference_leads_somewhere() -> None:
    found = await published()
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(found)))
    assert named <= found["components"]["schemas"].keys()
    assert "Problem" in named


def test_what_is_asked_stands_where_it_is_asked() -> None:
    class Query(msgspec.Struct):
        limit: int
        after: str = ""

    class Body(msgspec.Struct):
        reason: str

    async def act(call: Call) -> None:
        """Never called."""

    operation = Operation("POST", "/api/models/{model}/rollout", "Do it.", act, query=Query, body=Body, answer=int)
    (page,) = document([operation])["paths"]["/api/models/{model}/rollout"].values()
    places = {(each["name"], each["in"]): each["required"] for each in page["parameters"]}
    assert places == {("model", "path"): True, ("limit", "query"): True, ("after", "query"): False}
    assert page["requestBody"]["required"]
    assert page["responses"]["200"]["content"]["application/json"]["schema"] == {"type": "integer"}


@in_loop
async def test_examples_are_lawful() -> None:
    """Of each body that has some: what schemathesis and people send first."""
    found = await published()
    shown = 0
    for methods in found["paths"].values():
        for page in methods.values():
            content = page.get("requestBody", {}).get("content", {}).get("application/json", {})
            for name, example in content.get("examples", {}).items():
                shown += 1
                schema = {**content["schema"], "components": found["components"]}
                jsonschema.Draft202012Validator(schema).validate(example["value"])
                assert name
    assert shown == 3


@in_loop
async def test_outcomes_and_reports_say_what_they_take() -> None:
    paths = (await published())["paths"]
    bodies = {path: paths[path]["post"]["requestBody"] for path in ("/api/outcomes", "/api/models/{model}/reports")}
    one, many = bodies["/api/outcomes"]["content"]["application/json"]["schema"]["anyOf"]
    assert (one["items"], many) == ({"$ref": "#/components/schemas/Posted"}, {"$ref": "#/components/schemas/Posted"})
    report = bodies["/api/models/{model}/reports"]["content"]["application/json"]["schema"]
    assert report == {"$ref": "#/components/schemas/Report"}
    assert all(body["required"] for body in bodies.values())
