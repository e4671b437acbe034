"""Disagreements from the workers' pushes to the store, and back to whoever asks."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

from gates.phases import Event
from proxy.disagreements import AnswerOnRecord, Disagreement, Selection
from proxy.push import Push, decode_push, encode_push
from proxy.snapshot import RecordPolicy
from tests.control import MODEL, Desk, in_loop, model_settings

KEEP = 2


def pair(id: str, epoch: int, severity: float = 1.0, lot: int = 5, finding: str = "label") -> Disagreement:
    return Disagreement(
        id=id, model=MODEL, epoch=epoch, finding=finding, severity=severity, lot=lot, rows=1, rows_disagreed=1, row=0,
        largest_gap=0.0, served="champion", request_id=f"r-{id}", method="POST", path="/invocations", headers={},
        request="{}", champion=AnswerOnRecord("40", 200, "[0]"), candidate=AnswerOnRecord("42", 200, "[1]"),
    )  # fmt: skip


def push(desk: Desk, *pairs: Disagreement) -> None:
    numbers: Iterator[int] = push.__dict__.setdefault("numbers", iter(range(1, 1_000_000)))
    sent = Push("w", next(numbers), (), pairs)
    desk.controller.push(decode_push(encode_push(sent)))


def desk_of(**changes: Any) -> Desk:
    return Desk(model_settings(record=RecordPolicy(keep=KEEP), **changes))


@in_loop
async def test_a_pair_is_kept_with_its_rollout_and_time_and_told_of() -> None:
    async with desk_of() as desk:
        push(desk, pair("a", desk.route.epoch))
        await desk.controller.keep()
        (told,) = await desk.controller.queries.disagreements(MODEL)
        assert (told.id, told.rollout, told.at) == ("a", desk.rollout.id, desk.clock.now)
        assert told.worst
        assert told.representative
        assert told.candidate == AnswerOnRecord("42", 200, "[1]")


def selections() -> int:
    gc.collect()
    return sum(isinstance(each, Selection) for each in gc.get_objects())


@in_loop
async def test_of_rollouts_that_ended_nothing_is_left_in_memory() -> None:
    before = selections()
    async with desk_of() as desk:
        for number in range(4):
            push(desk, pair(f"p{number}", desk.route.epoch))
            await desk.controller.keep()
            await desk.command(Event.ROLL_BACK)
            await desk.controller.start_rollout(MODEL, "42", "ada", "once more")
        assert selections() - before <= 1
        assert len(await desk.controller.queries.disagreements(MODEL, "r4")) == 1, "on record they stay"


@in_loop
async def test_of_each_finding_the_worst_and_a_sample_stay_in_the_store() -> None:
    async with desk_of() as desk:
        epoch = desk.route.epoch
        for number in range(20):
            push(desk, pair(f"p{number}", epoch, severity=number / 10, lot=number))
            await desk.controller.keep()
        push(desk, pair("other", epoch, finding="flip"))
        await desk.controller.keep()
        told = await desk.controller.queries.disagreements(MODEL)
        assert [(each.id, each.worst, each.representative) for each in told] == [
            ("p19", True, False),
            ("other", True, True),
            ("p18", True, False),
            ("p1", False, True),
            ("p0", False, True),
        ], "the worst of each finding, then the next of each"
        assert len(desk.store.disagreements) == 5


@in_loop
async def test_a_push_that_comes_twice_counts_once_and_one_of_another_rollout_not_at_all() -> None:
    async with desk_of() as desk:
        epoch = desk.route.epoch
        push(desk, pair("a", epoch), pair("late", desk.store.rollouts[desk.rollout.id].begun - 1))
        push(desk, pair("a", epoch))
        await desk.controller.keep()
        push(desk, pair("a", epoch))
        await desk.controller.keep()
        assert [each.id for each in await desk.controller.queries.disagreements(MODEL)] == ["a"]


@in_loop
async def test_the_control_plane_that_follows_chooses_on_from_the_record() -> None:
    async with desk_of() as desk:
        push(desk, pair("a", desk.route.epoch, 0.9, 9), pair("b", desk.route.epoch, 0.8, 8))
        await desk.controller.keep()
        after = desk.next()
    async with after:
        push(after, pair("c", after.route.epoch, 0.1, 99), pair("d", after.route.epoch, 1.5, 98))
        await after.controller.keep()
        assert [each.id for each in await after.controller.queries.disagreements(MODEL)] == ["d", "a", "b"]


@in_loop
async def test_what_cannot_be_written_is_written_once_the_store_is_back() -> None:
    async with desk_of() as desk:
        push(desk, pair("a", desk.route.epoch))
        desk.store.broken = "disk full"
        await desk.controller.keep()
        desk.store.broken = ""
        await desk.controller.keep()
        assert list(desk.store.disagreements) == ["a"]


@in_loop
async def test_an_earlier_rollout_can_be_asked_for_until_its_records_expire() -> None:
    async with desk_of(retention=1000.0) as desk:
        first = desk.rollout.id
        push(desk, pair("a", desk.route.epoch))
        await desk.controller.keep()
        await desk.command(Event.ROLL_BACK)
        await desk.controller.start_rollout(MODEL, "43", "ana", "", override=True)
        assert await desk.controller.queries.disagreements(MODEL) == []
        assert [each.id for each in await desk.controller.queries.disagreements(MODEL, first)] == ["a"]
        desk.clock.advance(4000)
        await desk.controller.keep()
        assert await desk.controller.queries.disagreements(MODEL, first) == []


@in_loop
async def test_nothing_is_kept_where_the_record_is_off() -> None:
    async with Desk(model_settings(record=RecordPolicy(keep=0))) as desk:
        push(desk, pair("a", desk.route.epoch))
        await desk.controller.keep()
        assert desk.store.disagreements == {}
