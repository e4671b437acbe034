from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from gates.controller import errands as module
from gates.controller import overview
from gates.controller.errands import Errands
from gates.controller.outbox import Begin, errands_of, facts_of
from gates.decision import Decision
from gates.phases import Event
from gates.ports import RolloutFacts, StoreError, Versions
from gates.rollout import Rollout
from proxy.snapshot import Phase
from tests.control import MODEL, TERMS, Desk, in_loop, model_settings, until
from tests.fakes import FakeRegistry
from tests.gates.controller.test_gatekeeper import KnownVersions

FACTS = RolloutFacts("r1", MODEL, "40", "42")


def errands_at(desk: Desk, versions: Versions | None = None) -> Errands:
    controller = desk.controller
    assert desk.registry is not None
    return Errands(
        desk.store,
        desk.store,
        controller.store_calls,
        desk.registry,
        controller.registry_calls,
        desk.clock,
        lambda: overview.figures(controller.observer),
        controller.errand_stored,
        versions,
    )


@in_loop
async def test_a_rollout_is_begun_and_finished_with_its_decisions() -> None:
    registry = FakeRegistry()
    async with Desk(registry=registry) as desk:
        errands = errands_at(desk)
        await desk.command(Event.CLIMB, "ada", "in a hurry")
        await desk.command(Event.ROLL_BACK, "ada", "smoke")
        await errands.carry()
        assert (registry.acts, errands.waiting, desk.store.errands) == (["begin", "finish"], 0, [])
        (_, facts, (parameters, by, at)), (_, _, finish) = registry.told
        assert (facts, by, at) == (FACTS, "configuration", desk.clock.wall())
        assert isinstance(parameters, Mapping)
        assert parameters["plan/1_ramp"] == "5 %, 10 s, 100 requests"
        assert parameters["gate/errors"] == "critical: at most 5.00 % errors"
        outcome, by, reason, _, decisions = finish
        assert (outcome, by, reason) == ("rolled_back", "ada", "smoke")
        assert isinstance(decisions, Sequence)
        assert [decision["event"] for decision in decisions] == ["start", "climb", "roll_back"]
        assert decisions[1]["inputs"]["command"]["reason"] == "in a hurry"


@in_loop
async def test_a_promotion_is_told_as_one() -> None:
    registry = FakeRegistry()
    async with Desk(registry=registry) as desk:
        await desk.command(Event.PROMOTE)
        await errands_at(desk).carry()
        assert registry.told[-1][2][0] == "promoted"


@in_loop
async def test_a_promotions_record_has_who_looked_and_what_the_gates_said() -> None:
    registry = FakeRegistry()
    async with Desk(registry=registry) as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.RAMP, 500, worker)
        await worker.poll()
        worker.traffic(500)
        await desk.wait(2, worker)
        await desk.controller.promotions.approve(MODEL, "42", "business", "bo", "worth it")
        await desk.controller.promotions.approve(MODEL, "41", "security", "eve", "another version")
        await desk.command(Event.PROMOTE, "ada", "all well")
        await errands_at(desk, KnownVersions()).carry()
        (record,) = (rest[0] for act, _, rest in registry.told if act == "certify")
        assert isinstance(record, Mapping)
        assert (record["approver"], record["metrics"]) == ("ada", {"accuracy": 0.8})
        at = desk.clock.wall()
        assert record["reviews"] == [{"review": "business", "by": "bo", "note": "worth it", "at": at}]
        assert {gate["gate"]: gate["verdict"] for gate in record["gates"]}["errors"] == "PASS"
        assert "0 failed of 500" in record["gates"][0]["reason"]


@in_loop
async def test_without_a_registry_nothing_waits() -> None:
    async with Desk() as desk:
        await desk.command(Event.ROLL_BACK)
        assert desk.store.errands == []


def test_only_beginnings_and_ends_are_told() -> None:
    told = {}
    for event in Event:
        rollout = Rollout("r1", MODEL, "40", "42", "ada", TERMS)
        decision = Decision(rollout, event, "ada", "why")
        told[event] = [kind for kind, _ in errands_of(decision, 1.0)]
    assert {event for event, kinds in told.items() if kinds == ["begin"]} == {Event.START}
    assert {event for event, kinds in told.items() if kinds == ["finish"]} == {Event.PROMOTE, Event.ROLL_BACK}


@in_loop
async def test_what_fails_is_tried_again_in_order_and_blocks_no_other_model() -> None:
    registry = FakeRegistry(trouble=lambda act, model: "no such model" if model == MODEL else "")
    async with Desk(model_settings(), model_settings("ranker"), registry=registry) as desk:
        errands = errands_at(desk)
        await desk.command(Event.ROLL_BACK)
        await errands.carry()
        assert [facts.model for _, facts, _ in registry.told] == ["ranker"]
        assert (errands.waiting, errands.trouble) == (2, "no such model")
        registry.trouble = lambda act, model: ""
        await errands.carry()
        await errands.measure()
        assert [act for act, facts, _ in registry.told if facts.model == MODEL] == ["begin", "finish"]
        assert (errands.waiting, errands.trouble) == (0, "")


@in_loop
async def test_an_errand_is_repeated_where_its_end_was_not_noted() -> None:
    registry = FakeRegistry()
    async with Desk(registry=registry) as desk:
        errands = errands_at(desk)
        with pytest.MonkeyPatch.context() as broken:
            broken.setattr(desk.store, "done", _failing)
            with pytest.raises(StoreError):
                await errands.carry()
        await errands.carry()
        assert registry.acts == ["begin", "begin"]
        assert desk.store.errands == []


def _failing(errand: int) -> None:
    raise StoreError("gone")


@in_loop
async def test_figures_are_measured_while_a_rollout_carries() -> None:
    registry = FakeRegistry()
    async with Desk(registry=registry) as desk:
        errands, worker = errands_at(desk), desk.worker()
        await errands.carry()
        await desk.climb_to(Phase.RAMP, 500, worker)
        await desk.wait(1, worker)
        worker.traffic(100, failures=1)
        await desk.wait(1, worker)
        await errands.measure()
        act, facts, (figures, at) = registry.told[-1]
        assert (act, facts, at) == ("measure", FACTS, desk.clock.wall())
        assert isinstance(figures, Mapping)
        assert (figures["ramp_percent"], figures["requests"], figures["gate/errors"]) == (5.0, 100.0, 0.01)
        await desk.command(Event.ROLL_BACK)
        before = len(registry.told)
        await errands.measure()
        assert len(registry.told) == before


@in_loop
async def test_figures_that_cannot_be_taken_are_not_missed(caplog: pytest.LogCaptureFixture) -> None:
    registry = FakeRegistry(trouble=lambda act, model: "away" if act == "measure" else "")
    async with Desk(registry=registry) as desk:
        errands = errands_at(desk)
        await errands.carry()
        await errands.measure()
        await errands.measure()
        assert errands.trouble == "away"
        assert [record.message for record in caplog.records].count(
            f"the registry is not told of {MODEL}, and will be later: away"
        ) == 1


@in_loop
async def test_the_loop_carries_what_a_commit_stores_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEASURE_EVERY", 3600.0)
    registry = FakeRegistry()
    async with Desk(model_settings(candidate=None), registry=registry) as desk:
        loop = asyncio.ensure_future(errands_at(desk).run())
        await asyncio.sleep(0.05)
        await desk.controller.start_rollout(MODEL, "42", "ada", "")
        await until(lambda: registry.acts[:1] == ["begin"])
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop


@in_loop
async def test_tries_are_further_and_further_apart() -> None:
    registry = FakeRegistry(trouble=lambda act, model: "away")
    async with Desk(registry=registry) as desk:
        errands, pauses = errands_at(desk), []
        for _ in range(9):
            await errands.carry()
            pauses.append(errands.due - desk.clock.monotonic())
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@in_loop
async def test_the_facts_of_a_rollout_survive_the_outbox() -> None:
    async with Desk(registry=FakeRegistry()) as desk:
        (errand,) = desk.store.errands
        assert msgspec.json.decode(errand.body, type=Begin).facts == FACTS
        assert facts_of(desk.store.rollouts["r1"]) == FACTS
