from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.controller.watch import FRESH_SECONDS, Watch, requests_in, served_in
from gates.controller.workers import LIVE_SECONDS
from gates.outside import OutsideGate
from gates.phases import CLIMBING
from gates.rollout import Rollout
from gates.state import StageClock
from gates.verdict import Verdict
from proxy.snapshot import Phase
from proxy.window import Window, merge
from tests.control import PLAN, TERMS
from tests.gates.test_verdict import result

ROLLOUT = Rollout("r1", "m", "40", "42", "ada", TERMS, Phase.RAMP, position=1, begun=3, epoch=5)
KEPT = StageClock("r1", 5, 4.0)

steps = st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=20)


def window(copies: int = 0, served: int = 0, fallbacks: int = 0) -> Window:
    made = Window(fallbacks=fallbacks)
    for _ in range(copies):
        made.candidate_shadow.observe(200, 0.01)
    for _ in range(served + fallbacks):
        made.candidate.observe(200, 0.01)
    return made


@given(steps)
def test_the_clock_adds_up_the_gaps_between_two_looks_that_were_both_routed(moves: list[tuple[float, bool]]) -> None:
    watch, now, looks = Watch(ROLLOUT), 0.0, list[tuple[float, bool]]()
    for passed, routed in moves:
        now += passed
        watch.run(now, routed)
        looks.append((now, routed))
    gaps = [min(later - earlier, LIVE_SECONDS) for (earlier, a), (later, b) in pairwise(looks) if a and b]
    assert watch.seen.elapsed == pytest.approx(sum(gaps))


@pytest.mark.parametrize("phase", sorted(set(Phase) - set(CLIMBING)))
def test_it_stands_while_the_rollout_does(phase: Phase) -> None:
    watch = Watch(replace(ROLLOUT, phase=phase), KEPT)
    for now in range(9):
        watch.run(float(now), routed=True)
    assert watch.seen.elapsed == 4.0


def test_a_new_stage_starts_at_nothing_and_a_pause_does_not() -> None:
    watch = Watch(ROLLOUT, KEPT)
    watch.observe(window(served=5))
    watch.follow(replace(ROLLOUT, phase=Phase.PAUSED))
    assert (watch.seen.elapsed, watch.seen.requests) == (4.0, 5)
    watch.follow(replace(ROLLOUT, position=2, epoch=9))
    assert (watch.seen.elapsed, watch.seen.requests, watch.seen.results) == (0.0, 0, ())


def test_an_ended_rollout_keeps_what_was_seen() -> None:
    watch = Watch(ROLLOUT, KEPT)
    watch.observe(window(served=5))
    seen, clock = watch.seen, watch.clock
    watch.follow(replace(ROLLOUT, phase=Phase.ROLLED_BACK, epoch=9))
    assert watch.seen is seen
    assert watch.clock == clock


def test_the_same_window_is_not_judged_twice() -> None:
    watch, unchanged = Watch(ROLLOUT), window(served=5)
    watch.observe(unchanged)
    results = watch.seen.results
    watch.observe(unchanged)
    assert watch.seen.results is results


def test_the_clock_is_kept_when_it_moved_and_by_its_stage() -> None:
    watch = Watch(ROLLOUT)
    moved = [watch.clock_moved]
    for now in (1.0, 2.0):
        watch.run(now, routed=True)
        moved.append(watch.clock_moved)
    assert watch.clock == StageClock("r1", 5, 1.0, 1.0)
    for kept in (StageClock("r1", 4, 1.0), watch.clock):
        watch.clock_kept(kept)
        moved.append(watch.clock_moved)
    watch.observe(window(served=5))
    moved.append(watch.clock_moved)
    assert moved == [False, False, True, True, False, True]


def test_the_age_runs_without_workers_and_not_while_people_are_waited_for() -> None:
    watch = Watch(ROLLOUT)
    for now in range(5):
        watch.run(float(now), routed=False)
    watch.follow(replace(ROLLOUT, phase=Phase.PAUSED))
    for now in range(5, 60):
        watch.run(float(now), routed=True)
    assert (watch.seen.elapsed, watch.seen.age) == (0.0, 4.0)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=8), st.integers(0, 8))
def test_a_restart_changes_nothing_of_the_evidence(ticks: list[tuple[int, int]], restart: int) -> None:
    """Kept between any two looks and taken up again, the evidence is to the bit what it would have been."""
    went_on, restarted, total = Watch(ROLLOUT), Watch(ROLLOUT), Window()
    for number, (served, failed) in enumerate(ticks):
        if number == restart:
            restarted = Watch(ROLLOUT, restarted.clock)
        tick = Window()
        for answer in range(served + failed):
            tick.candidate.observe(200 if answer < served else 500, 0.01)
        total = merge(total, tick)
        went_on.observe(total)
        restarted.observe(total)
    assert restarted.evidence == went_on.evidence
    assert restarted.seen == went_on.seen


def test_requests_failed_before_this_stage_count_as_bad_answers() -> None:
    watch, seen = Watch(ROLLOUT), Window()
    seen.candidate.observe(500, 0.01)
    watch.observe(seen, failed_before=3)
    assert watch.seen.bad_answers == 4
    watch.observe(seen, failed_before=5)
    assert watch.seen.bad_answers == 6


def test_requests_are_copies_in_shadow_and_served_answers_later() -> None:
    seen = window(copies=7, served=5, fallbacks=2)
    assert [requests_in(seen, position) for position in range(PLAN.last + 1)] == [7, 5, 5, 5, 5]
    assert served_in(seen) == 5


LOSS = OutsideGate("loss", "critical", "at most 2", watches="all", holds="all")
WATCHED = replace(ROLLOUT, terms=replace(TERMS, outside=(LOSS,)))


def said(watch: Watch) -> list[Verdict]:
    return [one.verdict for one in watch.seen.outside]


def test_what_is_heard_stands_for_a_while_and_for_its_stage() -> None:
    watch = Watch(WATCHED)
    assert (said(watch), watch.unheard) == ([Verdict.INSUFFICIENT], True)
    watch.hear(5, {LOSS: result(Verdict.PASS, gate="loss")}, 10.0)
    watch.run(10.0 + FRESH_SECONDS, routed=True)
    assert (said(watch), watch.unheard) == ([Verdict.PASS], False)
    watch.run(10.1 + FRESH_SECONDS, routed=True)
    assert (said(watch), watch.unheard) == ([Verdict.INSUFFICIENT], True)


def test_what_was_asked_in_another_stage_or_by_another_rule_is_not_heard() -> None:
    watch, passes = Watch(WATCHED), result(Verdict.PASS, gate="loss")
    watch.hear(4, {LOSS: passes}, 0.0)
    assert said(watch) == [Verdict.INSUFFICIENT]
    watch.hear(5, {replace(LOSS, asked="at most 3"): passes}, 0.0)
    assert said(watch) == [Verdict.INSUFFICIENT]
    watch.hear(5, {LOSS: passes}, 0.0)
    watch.follow(replace(WATCHED, position=2, epoch=9))
    assert said(watch) == [Verdict.INSUFFICIENT]


def test_of_an_ended_rollout_what_was_heard_stays() -> None:
    watch = Watch(WATCHED)
    watch.hear(5, {LOSS: result(Verdict.FAIL, gate="loss")}, 0.0)
    watch.follow(replace(WATCHED, phase=Phase.ROLLED_BACK, epoch=9))
    watch.run(1e6, routed=True)
    assert said(watch) == [Verdict.FAIL]
