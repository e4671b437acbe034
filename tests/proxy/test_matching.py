"""Which model a request is for: by host, path and header, the closest of all that fit, by lookups alone."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.headers import Fields
from proxy.routing import match
from proxy.snapshot import HeaderMatch, ModelRoute, Origin, Snapshot, Target
from tests.servers import predicting
from tests.strategies import snapshots
from tests.wire import call
from tests.workers import Scene, target

if TYPE_CHECKING:
    from _typeshed import TraceFunction

ROUTE = ModelRoute("m", "/", Target("1", (Origin("127.0.0.1", 8001),)))
paths = st.lists(st.sampled_from(["a", "b", "ab", "v1", "", "x"]), max_size=6).map(lambda parts: "/" + "/".join(parts))
hosts = st.sampled_from(["a.example", "A.EXAMPLE:8080", "b.example.", "c.example", "[::1]:80", ""])
values = st.sampled_from(["a", "b", "c", ""])


def fields(host: str, value: str) -> Fields:
    return [(b"host", host.encode()), (b"x-model", value.encode())]


def fits(route: ModelRoute, path: str, host: str, value: str) -> bool:
    prefix = route.path_prefix.rstrip("/")
    asked = host.lower().partition(":")[0].removesuffix(".")
    return (
        (path == prefix or path.startswith(prefix + "/"))
        and route.host in ("", asked)
        and (route.header is None or route.header.value == value)
    )


@given(snapshots(), paths, hosts, values)
def test_the_closest_of_all_that_fit_is_found(snapshot: Snapshot, path: str, host: str, value: str) -> None:
    fitting = [
        (bool(route.host), len(route.path_prefix.rstrip("/")), bool(route.header), route.model)
        for route in snapshot.routes
        if fits(route, path, host, value)
    ]
    found = match(snapshot, path, fields(host, value))
    assert (found and found.model) == (max(fitting)[-1] if fitting else None)


@given(snapshots(), st.text(), st.lists(st.tuples(st.sampled_from([b"host", b"x-model"]), st.binary())))
def test_match_is_total(snapshot: Snapshot, path: str, received: Fields) -> None:
    match(snapshot, path, received)


@pytest.mark.parametrize(
    ("asked", "host"),
    [
        ("fraud.example", "fraud.example"),
        ("FRAUD.example:8080", "fraud.example"),
        ("fraud.example.", "fraud.example"),
        ("fraud.example:", "fraud.example"),
        ("[2001:db8::1]:8080", "2001:db8::1"),
        ("10.0.0.7:80", "10.0.0.7"),
    ],
)
def test_a_host_is_its_name_without_port_and_case(asked: str, host: str) -> None:
    snapshot = Snapshot(1, (replace(ROUTE, host=host),))
    assert match(snapshot, "/", [(b"host", asked.encode())]) is not None
    assert match(snapshot, "/", [(b"host", b"x" + asked.encode())]) is None
    assert match(snapshot, "/", []) is None


def routes_by(kind: str, number: int) -> tuple[ModelRoute, ...]:
    changes: dict[str, list[dict[str, object]]] = {
        "path": [{"path_prefix": f"/m{nth}"} for nth in range(number)],
        "host": [{"host": f"m{nth}.example"} for nth in range(number)],
        "header": [{"header": HeaderMatch("x-model", f"m{nth}")} for nth in range(number)],
    }
    return tuple(replace(ROUTE, model=f"m{n}", **change) for n, change in enumerate(changes[kind]))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["path", "host", "header"])
def test_a_thousand_models_cost_what_one_does(kind: str) -> None:
    """Counted in lines of Python that are run, which no busy machine changes."""
    ran = []
    for number in (8, 1000):
        snapshot = Snapshot(1, routes_by(kind, number))
        found, lines = _lines_of(snapshot, "/m7/invocations", [(b"host", b"m7.example"), (b"x-model", b"m7")])
        assert found is not None
        assert found.model == "m7"
        ran.append(lines)
    assert ran[0] == ran[1]


def _lines_of(snapshot: Snapshot, path: str, received: Fields) -> tuple[ModelRoute | None, int]:
    lines = 0

    def count(frame: FrameType, event: str, argument: object) -> TraceFunction:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        return match(snapshot, path, received), lines
    finally:
        sys.settrace(before)


def test_requests_find_their_models_on_the_wire(scene: Scene) -> None:
    scene.candidate.handler = predicting("ranker")
    by_host = replace(scene.route, model="by_host", host="ranker.example", champion=target("7", scene.candidate))
    by_header = replace(
        scene.route, model="by_header", header=HeaderMatch("x-model", "r"), champion=target("8", scene.candidate)
    )
    scene.worker.route(scene.route, by_host, by_header)
    asked = {
        "m": [],
        "by_host": [("host", "Ranker.Example:80")],
        "by_header": [("x-model", "r")],
    }
    for model, named in asked.items():
        assert call(scene.port, "POST", "/invocations", named, b"{}")["x-penstock-model"] == model
