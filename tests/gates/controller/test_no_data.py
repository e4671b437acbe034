"""Where nothing is known nothing happens: whatever the gate, no stage is passed and no candidate rolled back for want
of data, for data that are none, or for workers that are gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gates.gate import Gate
from gates.plan import Deadline, Plan
from proxy.push import Push, Sample, decode_push, encode_push
from proxy.snapshot import Phase
from proxy.window import Window
from tests.control import MODEL, PLAN, Desk, Worker, in_loop, model_settings

ERRORS = Gate("errors", "error_rate", 0.01)
GATES = (
    ERRORS,
    replace(ERRORS, margin=0.5, against="champion"),
    replace(ERRORS, margin=0.5, against="pairs"),
    replace(ERRORS, per="unit"),
    replace(ERRORS, by="country", values=3),
    Gate("tail", "latency", 0.2),
    Gate("slower", "latency", 0.0, margin=0.5, against="champion"),
    Gate("same", "agreement", 0.98),
    Gate("beyond_noise", "agreement", 0.98, margin=0.5, against="noise_floor"),
)
AT_ONCE = replace(PLAN, shadow=replace(PLAN.shadow, min_duration=0, min_requests=0), deadline=Deadline(20))
every_gate = pytest.mark.parametrize("gate", GATES, ids=lambda gate: f"{gate.name} {gate.against} {gate.per} {gate.by}")


def judged_by(gate: Gate, plan: Plan = AT_ONCE) -> Desk:
    return Desk(model_settings(gates=(gate,), plan=plan))


def nothing_happened(desk: Desk) -> None:
    """Neither an advance nor a rollback; that it takes long is told."""
    assert (desk.phase, desk.rollout.position) == (Phase.SHADOW, 0)
    assert {row.event for row in desk.store.audit} <= {"configure", "start", "overdue"}


@every_gate
@in_loop
async def test_no_traffic_at_all(gate: Gate) -> None:
    async with judged_by(gate) as desk:
        await desk.wait(60, desk.worker())
        nothing_happened(desk)
        assert {result.verdict for result in desk.rollout.gates} <= {"INSUFFICIENT"}


@every_gate
@in_loop
async def test_no_worker_at_all(gate: Gate) -> None:
    async with judged_by(gate) as desk:
        await desk.wait(60)
        nothing_happened(desk)


@every_gate
@in_loop
async def test_traffic_of_which_the_candidate_sees_nothing(gate: Gate) -> None:
    async with judged_by(gate) as desk:
        worker = desk.worker()
        await worker.poll()
        for number in range(5_000):
            worker.window().champion.observe(500 if number % 2 else 200, 0.5)
        worker.window().shadow.offered += 5_000
        await desk.wait(60, worker)
        nothing_happened(desk)


@every_gate
@in_loop
async def test_workers_that_fall_silent_after_a_few_answers(gate: Gate) -> None:
    async with judged_by(gate) as desk:
        worker = desk.worker()
        await worker.poll()
        worker.traffic(1)
        worker.push()
        await desk.wait(600)
        nothing_happened(desk)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", '"1"', "null", "1e999"])
@in_loop
async def test_what_is_no_number_is_refused_whole(number: str) -> None:
    """At the border, so that no gate ever sees it."""
    async with judged_by(ERRORS) as desk:
        worker = desk.worker()
        await worker.poll()
        raw = encode_push(Push("w1", 1, (Sample(MODEL, desk.route.epoch, some(worker)),)))
        assert raw.count(b'"answers":7') == 1
        with pytest.raises(ValueError, match=r"."):
            decode_push(raw.replace(b'"answers":7', b'"answers":' + number.encode()))
        await desk.wait(60, worker)
        nothing_happened(desk)


def some(worker: Worker) -> Window:
    window = Window()
    for _ in range(7):
        window.candidate_shadow.observe(200, 0.01)
    return window
