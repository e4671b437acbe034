"""Trace headers (W3C Trace Context, B3) go through untouched, to the version that answers and with the copy."""

from __future__ import annotations

import pytest

from tests.servers import eventually
from tests.wire import call
from tests.workers import BODY, Scene, target

TRACE = [
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    ("tracestate", "a second, of the same name"),
    ("baggage", "userId=alice,serverNode=DF%2028"),
    ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90"),
    ("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7"),
    ("uber-trace-id", "4bf92f3577b34da6:00f067aa0ba902b7:0:1"),
]
NAMES = {name for name, _ in TRACE}


@pytest.mark.parametrize("ramp_bp", [0, 10_000])
def test_a_trace_goes_on_in_the_answer_and_in_the_copy(scene: Scene, ramp_bp: int) -> None:
    trial = target("42", scene.candidate)
    scene.routed(candidate=trial, ramp_bp=ramp_bp)
    assert call(scene.port, "POST", "/invocations", TRACE, BODY).status == 200
    eventually(lambda: scene.champion.seen and scene.candidate.seen)
    for server in (scene.champion, scene.candidate):
        (seen,) = server.seen
        got = [(name, value) for name, value in seen.fields if name in NAMES]
        assert got == TRACE
