"""Gates: what each form of them counts, and what it takes for a verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.checks import GateWatch, evidence_to_fail, evidence_to_pass, judge, judge_one, look
from gates.counts import counts_of
from gates.evidence import RateWatch, RatioWatch, Tally, log_evidence_below
from gates.gate import Gate, terms_of
from gates.verdict import GateResult, Verdict
from proxy.comparison import Comparison
from proxy.histogram import Histogram
from proxy.snapshot import Phase
from proxy.tally import AloneTally, LaneTally
from proxy.window import Window, merge
from tests.control import PLAN
from tests.strategies import windows

ERRORS = Gate("errors", "error_rate", 0.01)
TAIL = Gate("tail", "latency", 0.2)
SAME = Gate("same", "agreement", 0.98)
ERRORS_AGAINST = Gate("errors", "error_rate", 0.01, margin=0.5, against="champion")
TAIL_AGAINST = Gate("tail", "latency", 0.0, margin=0.5, against="champion")
PAIRED = replace(ERRORS_AGAINST, against="pairs")
NOISY = replace(SAME, margin=0.5, against="noise_floor")
EVERY = (ERRORS, TAIL, SAME, ERRORS_AGAINST, TAIL_AGAINST, replace(TAIL_AGAINST, limit=0.05), PAIRED, NOISY)
EACH = tuple(replace(gate, per=per) for gate in EVERY for per in ("request", "unit"))
ALARM, PASS = 0.01, 0.05


def window(
    answers: int = 0,
    failed: int = 0,
    *,
    champion: int = 0,
    champion_failed: int = 0,
    seconds: float = 0.01,
    champion_seconds: float = 0.01,
    differing: int = 0,
) -> Window:
    """The candidate's and the champion's answers, half of them to copies; a pair for each answer of the candidate's."""
    made = Window()
    for number in range(answers):
        lane = made.candidate if number % 2 else made.candidate_shadow
        lane.observe(500 if number < failed else 200, seconds)
        made.agreement.observe(Comparison("number" if number < differing else "", rows=1))
    for number in range(champion):
        lane = made.champion if number % 2 else made.champion_shadow
        lane.observe(500 if number < champion_failed else 200, champion_seconds)
    return made


def judged(gate: Gate, *ticks: Window) -> GateResult:
    """After a look at each of the ticks as it came in."""
    watch, total = GateWatch.fresh(gate), Window()
    for tick in ticks:
        total = merge(total, tick)
        watch = watch.looked(gate, total)
    return judge_one(gate, watch, total, ALARM, PASS)


@pytest.mark.parametrize("gate", EACH)
def test_no_data_is_no_verdict(gate: Gate) -> None:
    result = judged(gate, Window())
    assert (result.verdict, result.value, result.observations) == (Verdict.INSUFFICIENT, None, 0)
    assert result.reason == "no data"


@given(windows(), st.sampled_from(EACH))
def test_every_gate_judges_every_window(seen: Window, gate: Gate) -> None:
    result = judged(gate, seen)
    assert 0 <= result.toward_pass <= 1
    assert 0 <= result.toward_fail <= 1
    assert (result.verdict is Verdict.FAIL) == (result.toward_fail >= 1)
    assert 0 <= result.events <= result.observations
    assert math.isfinite(result.limit)


@pytest.mark.parametrize(
    ("gate", "good", "bad"),
    [
        (ERRORS, window(2_000, 2), window(40, 20)),
        (TAIL, window(2_000, seconds=0.1), window(40, seconds=0.3)),
        (SAME, window(1_000, differing=1), window(100, differing=50)),
        (ERRORS_AGAINST, window(2_000, 2, champion=2_000), window(40, 20, champion=400, champion_failed=2)),
        (TAIL_AGAINST, window(2_000, champion=2_000), window(2_000, champion=2_000, seconds=0.1)),
    ],
)
def test_good_candidates_pass_and_bad_ones_fail(gate: Gate, good: Window, bad: Window) -> None:
    passed, failed = judged(gate, good), judged(gate, bad)
    assert (passed.verdict, failed.verdict) == (Verdict.PASS, Verdict.FAIL), (passed, failed)
    assert terms_of(gate) in passed.reason


def test_the_reason_says_on_what_counts() -> None:
    assert judged(ERRORS, window(40, 20)).reason == "50.00 % errors, 20 failed of 40: at most 1.00 % errors asked"
    against = judged(ERRORS_AGAINST, window(40, 20, champion=400, champion_failed=2))
    counts = "50.00 % errors, 20 failed of 40; the champion's 2 of 400"
    assert against.reason == f"{counts}: at most 1.00 % errors, or 1.5 times the champion's asked"
    slower = judged(TAIL_AGAINST, window(2_000, champion=1_000, seconds=0.1)).reason
    assert slower.startswith("p99 100.4 ms, of 2000; the champion's p99")
    assert slower.endswith("at most 1.5 times the champion's p99 asked")


def test_a_fault_that_begins_late_is_seen() -> None:
    """The totals alone would still say PASS: 20 000 good answers weigh more than these."""
    good = [window(200)] * 100
    late = judged(ERRORS, *good, *[window(50, 5)] * 8)
    assert late.verdict is Verdict.FAIL
    assert log_evidence_below(late.events, late.observations, ERRORS.bound) > -math.log(PASS)


def test_an_outage_of_both_is_not_the_candidates_fault() -> None:
    outage = window(600, 200, champion=1_400, champion_failed=460)
    assert judged(ERRORS, outage).verdict is Verdict.FAIL
    assert judged(ERRORS_AGAINST, outage).verdict is not Verdict.FAIL


def test_a_candidate_within_the_limit_may_be_worse_than_a_champion_that_never_fails() -> None:
    seen = window(4_000, 12, champion=20_000)
    assert judged(ERRORS_AGAINST, seen).verdict is Verdict.PASS


def test_quick_failures_are_not_all_there_is_while_slow_successes_are_under_way() -> None:
    """A model that answers after ten seconds and fails at once: after five, failures alone are there."""
    early = window(9, 9)
    assert judged(ERRORS, early).verdict is Verdict.FAIL
    early.candidate.asked, early.candidate_shadow.asked = 500, 500
    assert judged(ERRORS, early).verdict is Verdict.INSUFFICIENT
    assert judged(ERRORS, early).observations == 1_000


def test_what_is_under_way_is_no_success_yet() -> None:
    seen = window(10)
    seen.candidate.asked = 100_000
    assert judged(ERRORS, seen).verdict is Verdict.INSUFFICIENT
    assert judged(replace(ERRORS, min_requests=11), merge(seen, window(1))).toward_pass > 0


def test_a_slow_candidate_is_compared_with_a_quick_champion_by_what_both_were_asked() -> None:
    """Both fail 1 in 100, at once; the champion's successes are there, the candidate's are not."""
    early = window(90, 90, champion=9_000, champion_failed=90)
    early.candidate.asked, early.champion.asked = 9_000, 9_000
    assert judged(ERRORS_AGAINST, early).verdict is not Verdict.FAIL


def left(lane: LaneTally, clients: int, seconds: float) -> None:
    """So many clients ask, and leave after so long."""
    for _ in range(clients):
        lane.ask()
        lane.abandon(seconds)


def test_clients_that_left_thin_no_failures_out() -> None:
    seen = window(1_000, 30)
    alone = judged(ERRORS, seen)
    left(seen.candidate, 100_000, 1.0)
    assert judged(ERRORS, seen) == alone
    assert alone.verdict is Verdict.FAIL


def test_a_client_that_waited_for_longer_than_the_limit_was_answered_too_late_whatever_would_have_come() -> None:
    seen = window(1_000)
    assert judged(TAIL, seen).verdict is Verdict.PASS
    left(seen.candidate, 100, 1.0)
    found = judged(TAIL, seen)
    assert (found.verdict, found.events, found.observations) == (Verdict.FAIL, 100, 1_100)
    assert found.value is not None
    assert found.value > TAIL.limit


def test_one_that_left_sooner_says_nothing_of_how_late_it_would_have_been() -> None:
    seen = window(1_000)
    alone = judged(TAIL, seen)
    left(seen.candidate, 100, TAIL.limit / 2)
    assert judged(TAIL, seen) == alone


def test_clients_that_left_are_compared_as_long_as_they_waited() -> None:
    seen = window(4_000, champion=4_000)
    left(seen.candidate, 200, 1.0)
    left(seen.champion, 200, 1.0)
    assert judged(TAIL_AGAINST, seen).verdict is not Verdict.FAIL
    seen.champion.abandoned = Histogram()
    assert judged(TAIL_AGAINST, seen).verdict is Verdict.FAIL


def pairs(both: int, candidate_alone: int, champion_alone: int) -> Window:
    """What two versions made of 1000 requests; `both` of them both have failed."""
    made = window(1_000, both + candidate_alone, champion=1_000, champion_failed=both + champion_alone)
    made.alone = AloneTally(candidate_alone, champion_alone)
    return made


def test_requests_that_both_fail_are_held_against_nobody() -> None:
    assert judged(ERRORS, pairs(200, 0, 0)).verdict is Verdict.FAIL
    assert judged(PAIRED, pairs(200, 0, 0)).verdict is Verdict.INSUFFICIENT
    assert judged(PAIRED, pairs(200, 10, 40)).verdict is Verdict.PASS
    failed = judged(PAIRED, pairs(200, 90, 10))
    assert failed.verdict is Verdict.FAIL
    assert failed.reason == (
        "29.00 % errors, 290 failed of 1000; alone 90, and the champion alone 10: "
        "at most 1.00 % errors, or failing alone 1.5 times as often as the champion does asked"
    )


def probed(differing: int, noisy: int, pairs: int = 1_000) -> Window:
    """Of `pairs` comparisons of the candidate with the champion, and half as many of the champion with itself."""
    made = window(pairs, differing=differing)
    for number in range(pairs // 2):
        made.noise.observe(Comparison("number" if number < noisy else "", rows=1))
    return made


def test_a_candidate_may_differ_as_often_as_the_champion_does_from_itself() -> None:
    assert judged(SAME, probed(100, 50)).verdict is Verdict.FAIL
    assert judged(NOISY, probed(100, 50)).verdict is Verdict.INSUFFICIENT
    assert judged(NOISY, probed(100, 100)).verdict is Verdict.PASS
    assert judged(NOISY, probed(100, 5)).verdict is Verdict.FAIL
    assert judged(NOISY, probed(2, 0)).verdict is Verdict.PASS, "as often as min allows is enough"
    assert "100 differing of 1000; the champion from itself 5 of 500" in judged(NOISY, probed(100, 5)).reason
    assert judged(NOISY, probed(100, 50)).limit == pytest.approx(0.85)


def test_without_probes_nothing_is_known_of_the_noise_floor() -> None:
    assert judged(NOISY, window(1_000, differing=500)).verdict is Verdict.INSUFFICIENT


def test_a_gate_per_unit_counts_the_first_answers_alone() -> None:
    """One user with many failures is one unit."""
    seen = window(2_000, 300)
    seen.firsts = window(1_000, 1)
    assert judged(ERRORS, seen).verdict is Verdict.FAIL
    by_unit = judged(replace(ERRORS, per="unit"), seen)
    assert (by_unit.verdict, by_unit.observations) == (Verdict.PASS, 1_000)
    assert by_unit.reason.startswith("0.10 % errors, 1 failed of 1000 units")


def test_against_the_champion_both_have_to_speak() -> None:
    """Above the limit while the champion is silent: nothing is known of the other half."""
    assert judged(ERRORS_AGAINST, window(40, 20)).verdict is Verdict.INSUFFICIENT
    assert "the champion has answered nothing" in judged(ERRORS_AGAINST, window(40, 20)).reason


def test_what_is_in_the_bucket_of_the_limit_counts_for_neither_side() -> None:
    lower, upper = 0.196608, 0.204800  # the bucket that holds 200 ms
    assert counts_of(TAIL, window(10, seconds=(lower + upper) / 2)).surely == Tally(0, 10)
    assert counts_of(TAIL, window(10, seconds=(lower + upper) / 2)).possibly == Tally(10, 10)
    assert judged(TAIL, window(3_000, seconds=(lower + upper) / 2)).verdict is Verdict.INSUFFICIENT


def test_a_gate_fails_at_once_and_passes_after_its_requests() -> None:
    patient = replace(ERRORS, min_requests=1_000)
    assert judged(patient, window(40, 20)).verdict is Verdict.FAIL
    early = judged(patient, window(900))
    assert judged(ERRORS, window(900)).verdict is Verdict.PASS
    assert (early.verdict, early.toward_pass) == (Verdict.INSUFFICIENT, 0.9)
    assert judged(patient, window(1_000)).verdict is Verdict.PASS


@given(st.lists(windows(), max_size=5))
def test_the_evidence_is_that_of_the_watches(ticks: list[Window]) -> None:
    rate, ratio, watch, total = RateWatch(), RatioWatch(), GateWatch.fresh(ERRORS_AGAINST), Window()
    for tick in ticks:
        total = merge(total, tick)
        seen = counts_of(ERRORS_AGAINST, total)
        rate, ratio = rate.looked(seen.surely, 0.01), ratio.looked(seen.surely, seen.measure, 0.5)
        watch = watch.looked(ERRORS_AGAINST, total)
    worse, no_worse = ratio.worse.log_evidence, ratio.no_worse.log_evidence
    assert evidence_to_fail(ERRORS_AGAINST, watch, total) == min(rate.above.log_evidence, worse)
    seen = counts_of(ERRORS_AGAINST, total)
    below = log_evidence_below(seen.possibly.events, seen.possibly.trials, 0.01)
    assert evidence_to_pass(ERRORS_AGAINST, watch, total) == np.logaddexp(below, no_worse) - np.log(2)


def test_the_same_totals_are_one_look_and_fewer_are_none() -> None:
    first = GateWatch.fresh(ERRORS_AGAINST).looked(ERRORS_AGAINST, window(30, 3, champion=30))
    assert first.looked(ERRORS_AGAINST, window(30, 3, champion=30)) == first
    assert first.looked(ERRORS_AGAINST, window(20, 2, champion=90)) == first
    assert first.looked(ERRORS_AGAINST, window(31, 3, champion=31)) != first


@given(windows(), st.sampled_from(EVERY))
def test_a_watch_is_kept_exactly(seen: Window, gate: Gate) -> None:
    watch = GateWatch.fresh(gate).looked(gate, seen)
    assert msgspec.json.decode(msgspec.json.encode(watch), type=GateWatch) == watch


def test_watches_are_found_by_name_and_new_gates_begin_now() -> None:
    old = look((ERRORS,), (), window(30, 3))
    (errors, same) = look((ERRORS, SAME), old, window(40, 3))
    assert errors == old[0].looked(ERRORS, window(40, 3))
    assert same == GateWatch.fresh(SAME).looked(SAME, window(40, 3))
    assert [r.gate for r in judge((ERRORS, SAME), (errors, same), window(40, 3), ALARM, PASS)] == ["errors", "same"]


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"limit": 0.0},
        {"limit": 0.95},
        {"limit": -1.0},
        {"margin": -0.1, "against": "champion"},
        {"margin": math.inf, "against": "champion"},
        {"min_requests": -1},
        {"metric": "latency", "limit": 0.0},
        {"metric": "agreement", "limit": 0.98, "margin": 0.5, "against": "champion"},
        {"against": "noise_floor", "margin": 0.5},
        {"metric": "latency", "against": "pairs", "margin": 0.5},
        {"margin": 0.5},
        {"against": "champion"},
    ],
)
def test_gates_that_cannot_be(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"gate"):
        replace(ERRORS, **values)  # type: ignore[arg-type]


def test_a_scope_names_stages() -> None:
    assert [replace(ERRORS, scope="ramp").watches(PLAN.phase_at(position)) for position in range(5)] == [
        *(False, True, True, True, False)
    ]
    assert all(ERRORS.watches(phase) for phase in Phase)
