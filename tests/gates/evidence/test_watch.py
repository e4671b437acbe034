"""Watches over totals: looked at twice, late, or after a restart, they say the same."""

from __future__ import annotations

from itertools import accumulate

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.evidence.process import EProcess
from gates.evidence.rate import Tally, factors_above
from gates.evidence.ratio import factors_no_worse, factors_worse
from gates.evidence.watch import RateWatch, RatioWatch


def add(left: Tally, right: Tally) -> Tally:
    return Tally(left.events + right.events, left.trials + right.trials)


TALLY = st.builds(lambda events, clean: Tally(events, events + clean), st.integers(0, 50), st.integers(0, 2000))
TOTALS = st.lists(TALLY, min_size=1, max_size=8).map(lambda ticks: list(accumulate(ticks, add)))
ARMS = st.lists(st.tuples(TALLY, TALLY), min_size=1, max_size=8).map(
    lambda ticks: list(accumulate(ticks, lambda left, right: (add(left[0], right[0]), add(left[1], right[1]))))
)


@given(TOTALS)
def test_a_rate_watch_is_its_process_over_the_ticks(totals: list[Tally]) -> None:
    watch, process, before = RateWatch(), EProcess.fresh(), Tally()
    for now in totals:
        watch = watch.looked(now, 0.02)
        events, trials = now.since(before)
        process, before = process.advanced(trials, factors_above(events, trials, 0.02)), now
    assert watch == RateWatch(totals[-1], process)


@given(ARMS)
def test_a_ratio_watch_is_its_processes_over_the_ticks_in_which_both_arms_answered(
    totals: list[tuple[Tally, Tally]],
) -> None:
    watch = RatioWatch()
    worse, no_worse = EProcess.fresh(), EProcess.fresh(late=0.0)
    ours, theirs = Tally(), Tally()
    for candidate, champion in totals:
        watch = watch.looked(candidate, champion, 0.5)
        counts = (*candidate.since(ours), *champion.since(theirs))
        if counts[1] and counts[3]:
            worse = worse.advanced(counts[1], factors_worse(*counts, 0.5))
            no_worse = no_worse.advanced(counts[1], factors_no_worse(*counts, 0.5))
            ours, theirs = candidate, champion
    assert watch == RatioWatch(ours, theirs, worse, no_worse)


@given(TOTALS, ARMS)
def test_a_second_look_at_the_same_totals_is_no_look(totals: list[Tally], arms: list[tuple[Tally, Tally]]) -> None:
    rate, ratio = RateWatch(), RatioWatch()
    for now in totals:
        rate = rate.looked(now, 0.02)
        assert rate.looked(now, 0.02) == rate
    for candidate, champion in arms:
        ratio = ratio.looked(candidate, champion, 0.0)
        assert ratio.looked(candidate, champion, 0.0) == ratio


@given(TOTALS, ARMS, st.integers(0, 8))
def test_a_restart_changes_nothing(totals: list[Tally], arms: list[tuple[Tally, Tally]], at: int) -> None:
    rate, kept = RateWatch(), RateWatch()
    for number, now in enumerate(totals):
        if number == at:
            kept = msgspec.json.decode(msgspec.json.encode(kept), type=RateWatch)
        rate, kept = rate.looked(now, 0.02), kept.looked(now, 0.02)
    assert kept == rate
    ratio, ratio_kept = RatioWatch(), RatioWatch()
    for number, (candidate, champion) in enumerate(arms):
        if number == at:
            ratio_kept = msgspec.json.decode(msgspec.json.encode(ratio_kept), type=RatioWatch)
        ratio = ratio.looked(candidate, champion, 0.0)
        ratio_kept = ratio_kept.looked(candidate, champion, 0.0)
    assert ratio_kept == ratio


def test_a_tick_with_one_silent_arm_stays_open_and_loses_nothing() -> None:
    early, later = (Tally(3, 40), Tally(0, 0)), (Tally(4, 50), Tally(2, 900))
    assert RatioWatch().looked(*early, 0.0) == RatioWatch()
    assert RatioWatch().looked(*early, 0.0).looked(*later, 0.0) == RatioWatch().looked(*later, 0.0)


def test_a_failure_that_comes_to_light_late_still_counts() -> None:
    watch = RateWatch().looked(Tally(0, 100), 0.02)
    assert watch.looked(Tally(1, 100), 0.02).above.log_evidence > watch.above.log_evidence


@pytest.mark.parametrize("fewer", [Tally(1, 100), Tally(2, 99)])
def test_totals_that_shrink_are_refused(fewer: Tally) -> None:
    with pytest.raises(ValueError, match="after 2 of 100"):
        RateWatch().looked(Tally(2, 100), 0.02).looked(fewer, 0.02)
    with pytest.raises(ValueError, match="after 2 of 100"):
        RatioWatch().looked(Tally(2, 100), Tally(0, 9), 0.0).looked(fewer, Tally(0, 9), 0.0)
    with pytest.raises(ValueError, match="after 2 of 100"):
        RatioWatch().looked(Tally(0, 9), Tally(2, 100), 0.0).looked(Tally(0, 9), fewer, 0.0)


@pytest.mark.parametrize(("events", "trials"), [(-1, 3), (4, 3)])
def test_a_tally_that_cannot_be_is_refused(events: int, trials: int) -> None:
    with pytest.raises(ValueError, match="events of"):
        Tally(events, trials)
