"""Replay: a record that is true comes out as it was made, and any other is caught."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gates.controller.record import Inputs, decode_inputs, encode_inputs
from gates.controller.replay import replay, under
from gates.gate import Gate
from gates.phases import Event
from gates.state import AuditRow
from proxy.snapshot import Phase
from tests.control import GATES, MODEL, PLAN, Desk, in_loop

STRICTER = (*GATES, Gate("no_errors", "error_rate", 0.001))
LAXER = tuple(replace(gate, limit=0.9) if gate.name == "errors" else gate for gate in GATES)


async def promoted() -> list[AuditRow]:
    """A whole life: every stage, with 1 % or 2 % failing, and a person in between."""
    async with Desk() as desk:
        worker = desk.worker()
        await worker.poll()
        await desk.command(Event.PAUSE)
        await desk.command(Event.RESUME, reason="on we go")
        while desk.phase is not Phase.PROMOTED:
            worker.traffic(500, failures=10)
            await desk.pass_stage(worker)
        return [row for row in desk.store.audit if row.rollout]


async def rolled_back() -> list[AuditRow]:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.RAMP, 500, worker)
        await worker.poll()
        worker.traffic(100, failures=60)
        await desk.wait(1, worker)
        assert desk.phase is Phase.ROLLED_BACK
        return [row for row in desk.store.audit if row.rollout]


@in_loop
async def test_every_decision_comes_out_as_it_was_made() -> None:
    for rows in (await promoted(), await rolled_back()):
        replayed = list(replay(rows))
        assert [each.row for each in replayed] == rows
        assert [each.differences for each in replayed] == [()] * len(rows)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"event": "hold"}, "event: hold is on record, climb comes out"),
        ({"by": "eve"}, "by: eve is on record, controller comes out"),
        ({"phase": "bake"}, "phase: bake is on record, ramp comes out"),
        ({"position": 2}, "position: 2 is on record, 1 comes out"),
        ({"reason": "because"}, "reason: because is on record, stage passed after"),
        ({"generation": 99}, "generation: 99 is on record, "),
        ({"inputs": "{}"}, "it cannot be made again: "),
    ],
)
@in_loop
async def test_a_row_that_is_not_what_its_inputs_lead_to_is_named(change: dict[str, object], told: str) -> None:
    rows = await rolled_back()
    at = next(number for number, row in enumerate(rows) if row.event == "climb")
    rows[at] = replace(rows[at], **change)  # type: ignore[arg-type]
    found = [each.differences for each in replay(rows)]
    assert [bool(differences) for differences in found] == [number == at for number in range(len(rows))]
    assert found[at][0].startswith(told)


@in_loop
async def test_results_that_the_counts_do_not_bear_out_are_named() -> None:
    rows = await rolled_back()
    inputs = decode_inputs(rows[-1].inputs)
    window = replace(inputs.window, candidate=type(inputs.window.candidate)())
    rows[-1] = replace(rows[-1], inputs=encode_inputs(replace(inputs, window=window)))
    *before, last = replay(rows)
    assert not any(each.differences for each in before)
    assert last.differences[0].startswith("gates: errors FAIL")


@in_loop
async def test_a_decision_that_was_left_out_is_missed() -> None:
    rows = await rolled_back()
    del rows[1]
    assert list(replay(rows))[1].differences == ("it does not begin where the decision before it ended",)


@in_loop
async def test_the_same_gates_would_have_done_the_same() -> None:
    for rows in (await promoted(), await rolled_back()):
        judged = list(under(GATES, replay(rows)))
        assert [one.row for one in judged] == rows[1:], "all but the start"
        assert all(one.same for one in judged)


@in_loop
async def test_stricter_gates_roll_back_where_the_counts_first_show_it() -> None:
    *same, last = under(STRICTER, replay(await promoted()))
    assert all(one.same for one in same)
    assert (last.event, last.row.event) == (Event.ROLL_BACK, "climb")
    assert last.reason.startswith("gate no_errors: ")
    assert last.inputs.rollout.phase is Phase.SHADOW


@in_loop
async def test_laxer_gates_would_have_gone_on() -> None:
    rows = await rolled_back()
    *same, last = under(LAXER, replay(rows))
    assert all(one.same for one in same)
    assert last.row == rows[-1]
    assert last.event is not Event.ROLL_BACK


@in_loop
async def test_every_decision_follows_from_its_recorded_inputs() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.RAMP, 500, worker)
        await desk.command(Event.PAUSE, "ada", "lunch")
        await desk.command(Event.RESUME)
        await worker.poll()
        worker.traffic(200, failures=200)
        await desk.wait(1, worker)
        rows = [row for row in await desk.controller.queries.events(MODEL, 100) if row.event != "configure"]
        assert [row.event for row in rows] == ["roll_back", "resume", "pause", "climb", "start"]
        for row in rows:
            decision = decode_inputs(row.inputs).decide()
            assert decision is not None
            assert (decision.event, decision.by, decision.reason) == (row.event, row.by, row.reason)
            after = decision.rollout
            assert (after.phase, after.position, after.id) == (row.phase, row.position, row.rollout)
        last = decode_inputs(rows[0].inputs).decide()
        assert last is not None
        assert last.rollout == desk.store.rollouts["r1"]


@in_loop
async def test_a_decision_can_be_made_again_under_other_terms() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.pass_stage(worker)
        row = (await desk.controller.queries.events(MODEL, 1))[0]
        inputs = decode_inputs(row.inputs)
        patient = replace(inputs.rollout.terms, plan=replace(PLAN, shadow=replace(PLAN.shadow, min_requests=501)))
        assert Inputs(replace(inputs.rollout, terms=patient), inputs.observation, None, 9).decide() is None
