"""Probes find out which servers are well, and are no traffic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from uvicorn._types import ASGISendCallable

from proxy.snapshot import HealthProbe, ModelRoute, Origin, Target
from tests.servers import (
    HANG,
    READ,
    Background,
    ModelServer,
    Script,
    Scripted,
    Seen,
    eventually,
    predicting,
    refusing,
    reply,
)
from tests.wire import call
from tests.workers import BODY, LocalWorker, passed_over, target

PROBE = HealthProbe("/ping?deep", interval=0.02, timeout=5.0, unhealthy_after=3, healthy_after=2)


class Patient(ModelServer):
    """A model server whose health an own switch tells, apart from its answers."""

    def __init__(self, background: Background) -> None:
        self.status = 200
        self.probes = 0
        super().__init__(background, self._handle)

    async def _handle(self, seen: Seen, send: ASGISendCallable) -> None:
        if seen.target == b"/ping?deep":
            self.probes += 1
            await reply(send, b"", self.status)
        else:
            await predicting(1.0)(seen, send)

    def requests(self) -> int:
        return sum(seen.target != b"/ping?deep" for seen in list(self.seen))


@pytest.fixture
def pair(background: Background) -> Iterator[tuple[Patient, Patient]]:
    with Patient(background) as one, Patient(background) as other:
        yield one, other


@pytest.fixture
def probed(background: Background, pair: tuple[Patient, Patient]) -> Iterator[LocalWorker]:
    route = ModelRoute("m", "/", Target("40", tuple(server.origin for server in pair)), health=PROBE)
    with LocalWorker(background, route) as local:
        local.adopt(route)
        yield local


def test_a_server_that_is_unwell_gets_no_traffic_until_it_is_well(
    probed: LocalWorker, pair: tuple[Patient, Patient]
) -> None:
    sick, _ = pair
    sick.status = 503
    eventually(lambda: passed_over(probed.port) == 1)
    before = sick.requests()
    assert [call(probed.port, "POST", "/", (), BODY).status for _ in range(10)] == [200] * 10
    assert sick.requests() == before
    sick.status = 200
    eventually(lambda: passed_over(probed.port) == 0)
    for _ in range(10):
        call(probed.port, "POST", "/", (), BODY)
    assert sick.requests() > before


def test_where_all_are_unwell_they_are_asked_all_the_same(probed: LocalWorker, pair: tuple[Patient, Patient]) -> None:
    for server in pair:
        server.status = 500
    eventually(lambda: passed_over(probed.port) == 2)
    assert call(probed.port, "POST", "/", (), BODY).status == 200


def test_probes_are_no_traffic(probed: LocalWorker, pair: tuple[Patient, Patient]) -> None:
    eventually(lambda: min(server.probes for server in pair) > 5)
    snapshot = probed.worker.holder.current
    assert snapshot is not None
    window = probed.window(snapshot.routes[0])
    assert (window.champion.answers, window.shadow.offered) == (0, 0)
    (probe, *_) = [seen for seen in pair[0].seen if seen.target == b"/ping?deep"]
    assert (probe.method, probe["user-agent"]) == ("GET", "penstock-probe")


def test_fewer_failures_than_it_takes_change_nothing(background: Background) -> None:
    """Two of three fail, for ever; three in a row are what it takes."""
    answers = 0

    async def handle(seen: Seen, send: ASGISendCallable) -> None:
        nonlocal answers
        answers += 1
        await reply(send, b"", 200 if answers % 3 == 0 else 500)

    with ModelServer(background, handle) as server, LocalWorker(background) as local:
        local.adopt(ModelRoute("m", "/", target("40", server), health=PROBE))
        eventually(lambda: answers > 12)
        assert passed_over(local.port) == 0


@pytest.mark.parametrize("trouble", ["refusing", "hanging", "no HTTP"])
def test_no_good_answer_in_time_is_a_failed_probe(background: Background, trouble: str) -> None:
    with ExitStack() as servers, LocalWorker(background) as local:
        origin: Origin | Scripted
        if trouble == "refusing":
            origin = servers.enter_context(refusing())
        else:
            script: Script = [READ, HANG] if trouble == "hanging" else [READ, b"nonsense\r\n\r\n"]
            origin = servers.enter_context(Scripted(background, script))
        local.adopt(ModelRoute("m", "/", target("40", origin), health=replace(PROBE, timeout=0.1)))
        eventually(lambda: passed_over(local.port) == 1)


def test_a_server_that_is_routed_no_more_is_probed_no_more(probed: LocalWorker, pair: tuple[Patient, Patient]) -> None:
    pair[0].status = 500
    eventually(lambda: passed_over(probed.port) == 1)
    probed.adopt(ModelRoute("m", "/", target("40", pair[1]), health=PROBE))
    stopped = pair[0].probes
    more = pair[1].probes + 5
    eventually(lambda: pair[1].probes >= more)
    assert pair[0].probes <= stopped + 1  # one may have been under way
    assert pair[0].origin not in probed.worker.upstreams.unwell
