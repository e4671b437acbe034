"""What comparing costs, and what of it is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest

from proxy.comparer import Comparer
from proxy.comparison import Answer, Comparison
from proxy.pairs import Found, Pair
from proxy.snapshot import AgreementSpec
from proxy.window import Window


def pair(rows: int = 1, encoding: bytes = b"", **spec: int) -> Pair:
    champion, other = (Answer(200, [], json.dumps({"predictions": [x] * rows}).encode()) for x in (0.1, 0.9))
    champion = Answer(200, [(b"content-encoding", encoding)], champion.body)
    return Pair(champion, other, AgreementSpec(**spec))  # type: ignore[arg-type]


class Clock:
    """Whatever lies between two looks at it takes `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.now = 100.0
        self._seconds = seconds

    def __call__(self) -> float:
        self.now += self._seconds
        return self.now


def compare(
    pairs: Sequence[Pair],
    helper: Callable[[Pair, bool], Found | str] | None = None,
    clock: Callable[[], float] | None = None,
    busy: Callable[[], float] = lambda: 0.0,
) -> list[Comparison]:
    async def comparing() -> list[Comparison]:
        made = Comparer(asyncio.get_running_loop(), clock or Clock(0.0), busy)

        async def look_at(pair: Pair, counted: bool) -> Found | str:
            assert helper is not None, "this pair is none for the helper"
            return helper(pair, counted)

        made.helper.look_at = look_at  # type: ignore[method-assign]
        return [await made.compare(one, Window()) for one in pairs]

    return asyncio.run(comparing())


def test_the_time_of_other_processes_is_nothing_to_count() -> None:
    """On a busy machine the loop may rest for long in the middle of a comparison of microseconds."""
    assert [found.skipped for found in compare([pair()] * 100, clock=Clock(0.05))] == [""] * 100


def test_time_that_comparing_can_have_taken_is_counted() -> None:
    skipped = [found.skipped for found in compare([pair(cpu_bp=10)] * 100, clock=Clock(90e-6))]
    assert skipped[:11] == [""] * 11
    assert skipped[12:] == ["cpu_budget"] * 88, "1 ms in advance, and then a thousandth of the time"


def test_a_worker_that_has_no_time_to_spare_compares_half_as_much() -> None:
    def pairs_a_second(clock: Clock, busy: Callable[[], float]) -> float:
        began, found = clock.now, compare([pair(cpu_bp=2000)] * 30_000, clock=clock, busy=busy)
        return sum(not one.skipped for one in found) / (clock.now - began)

    at_ease, pressed = (Clock(90e-6) for _ in range(2))
    ratio = pairs_a_second(pressed, lambda: pressed.now) / pairs_a_second(at_ease, lambda: 0.0)
    assert 0.4 < ratio < 0.6


def test_a_worker_that_has_no_time_to_spare_hands_no_pair_over() -> None:
    clock = Clock(0.05)
    found = compare([pair(), pair(encoding=b"br"), pair()] * 2, clock=clock, busy=lambda: 0.9 * clock.now)
    assert [one.skipped for one in found][3:] == ["", "cpu_budget", ""], "once a stretch has told how busy it is"


def test_a_busy_helper_passes_over_equal_pairs_as_well() -> None:
    """Or pairs that differ would be missing more often than those that agree."""
    long, differing = pair(rows=5_000), pair(rows=5_000)
    equal = Pair(long.champion, long.champion, long.spec)

    async def comparing() -> list[str]:
        made = Comparer(asyncio.get_running_loop())
        made.helper.has_room_for = lambda size: False  # type: ignore[method-assign]
        return [(await made.compare(one, Window())).skipped for one in (equal, differing)]

    assert asyncio.run(comparing()) == ["helper_busy"] * 2


def test_the_helpers_time_is_counted_as_the_workers_own() -> None:
    found = compare([pair(encoding=b"gzip")] * 3, lambda *_: Found(Comparison(rows=1), None, 0.3))
    assert [one.skipped for one in found] == ["", "cpu_budget", "cpu_budget"]


@pytest.mark.parametrize(("one", "helped"), [(pair(rows=5_000), True), (pair(encoding=b"br"), True)])
def test_long_and_encoded_pairs_are_the_helpers(one: Pair, helped: bool) -> None:
    asked: list[bool] = []

    def helper(pair: Pair, counted: bool) -> Found:
        asked.append(counted)
        return Found(Comparison(rows=7), None, 0.0)

    assert compare([one], helper)[0].rows == 7
    assert asked == [True], "one in sixteen is counted, the first among them"


def test_what_the_helper_does_not_do_is_skipped_by_its_reason() -> None:
    assert compare([pair(rows=5_000)], lambda *_: "helper_busy") == [Comparison(skipped="helper_busy")]


def test_long_pairs_that_need_no_reading_are_told_at_once() -> None:
    failed = Pair(pair(rows=5_000).champion, Answer(503, [], b"x" * 50_000), AgreementSpec())
    assert compare([failed])[0].skipped == "not_both_succeeded"
    cut = Pair(pair(rows=5_000).champion, Answer(200, [], None), AgreementSpec())
    assert [found.skipped for found in compare([cut, cut])] == ["body_too_large"] * 2
