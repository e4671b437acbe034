"""Every route of the control port is in the matrix of rights, and the matrix names no route that is not there."""

from __future__ import annotations

import pytest
from starlette.routing import Route

from gates.access import MATRIX
from gates.api import create_app
from gates.api.operations import Call, Operation, mount
from tests.control import Desk


def routes() -> set[str]:
    named = set()
    desk = Desk()
    for route in create_app(desk.controller, None, desk.reloader, desk.guard, desk.alerting).routes:
        assert isinstance(route, Route)
        named |= {f"{method} {route.path}" for method in route.methods or () if method != "HEAD"}
    return named


def test_the_matrix_names_the_routes_that_there_are() -> None:
    assert routes() == MATRIX.keys()


def test_a_route_without_rights_cannot_be_served() -> None:
    async def act(call: Call) -> None:
        """Never called."""

    with pytest.raises(LookupError, match="GET /api/secrets is not in the matrix"):
        mount([Operation("GET", "/api/secrets", "Tell all.", act)], Desk().guard, lambda: None)
