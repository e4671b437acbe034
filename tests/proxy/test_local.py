from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given

from proxy.errors import PenstockError, UnknownModel
from proxy.local import Holder
from proxy.snapshot import ModelRoute, Origin, Phase, Snapshot, Target
from tests.strategies import snapshots
from tests.wire import Client, Reply, call
from tests.workers import LocalWorker

ROUTE = ModelRoute(
    "fraud",
    "/",
    Target("40", (Origin("127.0.0.1", 9),)),
    Target("42", (Origin("127.0.0.1", 9),)),
    Phase.RAMP,
    ramp_bp=250,
    epoch=7,
)


@pytest.fixture(autouse=True)
def routed(worker: LocalWorker) -> Iterator[None]:
    worker.route(ROUTE)
    yield
    worker.worker.holder.draining = False


def _get(worker: LocalWorker, path: str) -> tuple[int, object]:
    answer = call(worker.port, "GET", path)
    assert answer["content-type"] == "application/json"
    return answer.status, msgspec.json.decode(answer.body)


def test_a_worker_that_serves_is_live_and_ready(worker: LocalWorker) -> None:
    assert _get(worker, "/-/live") == (200, {"live": True})
    assert _get(worker, "/-/ready") == (200, {"ready": True, "draining": False})


def test_a_worker_without_a_snapshot_is_live_but_not_ready(worker: LocalWorker) -> None:
    worker.worker.holder.current = None
    assert _get(worker, "/-/live")[0] == 200
    assert _get(worker, "/-/ready") == (503, {"ready": False, "draining": False})
    assert _get(worker, "/-/health") == (503, {"generation": 0, "models": {}})


def test_a_worker_that_drains_is_live_but_not_ready(worker: LocalWorker) -> None:
    worker.worker.holder.draining = True
    assert _get(worker, "/-/live")[0] == 200
    assert _get(worker, "/-/ready") == (503, {"ready": False, "draining": True})
    assert _get(worker, "/-/health")[0] == 503


def test_health_tells_each_models_versions_and_phase(worker: LocalWorker) -> None:
    servers = {"known": 1, "passed_over": 0}
    told = {"champion": "40", "candidate": "42", "phase": "ramp", "ramp_percent": 2.5, "generation": 7}
    told["servers"] = {"40": servers, "42": servers}
    assert worker.worker.holder.current is not None
    generation = worker.worker.holder.current.generation
    assert _get(worker, "/-/health") == (200, {"generation": generation, "models": {"fraud": told}})


@pytest.mark.parametrize("path", ["/-/", "/-/nothing", "/-/live/", "/%2D/nothing"])
def test_all_else_under_the_prefix_is_ours_and_not_found(worker: LocalWorker, path: str) -> None:
    assert _get(worker, path)[0] == 404


def test_a_health_check_with_a_body_leaves_the_connection_usable(worker: LocalWorker) -> None:
    with Client(worker.port) as client:
        replies: list[Reply] = [client.request("POST", "/-/live", body=b"x" * 200_000) for _ in range(3)]
    assert [reply.status for reply in replies] == [200] * 3


@given(snapshots())
def test_a_holder_is_ready_with_a_snapshot_until_it_drains(drawn: Snapshot) -> None:
    assert not Holder().ready
    assert Holder(drawn).ready
    assert not Holder(drawn, draining=True).ready


def test_an_error_names_itself_in_the_body(worker: LocalWorker) -> None:
    worker.route()
    error: PenstockError = UnknownModel("no model is served at /a")
    assert _get(worker, "/a") == (404, {"error": error.code, "message": str(error)})
