"""What rests on too few of the pairs, or of the copies, does not pass, and status says why the others are missing."""

from __future__ import annotations

from gates.checks import judge_one, look
from gates.gate import Gate
from gates.verdict import GateResult, Verdict
from proxy.comparison import Comparison
from proxy.window import Window

GATE = Gate("agreement", "agreement", 0.9, min_coverage=0.05)


def judged(window: Window, gate: Gate = GATE) -> GateResult:
    (watch,) = look([gate], [], window)
    return judge_one(gate, watch, window, 0.001, 0.05)


def seen(agreed: int, differing: int, skipped: int, why: str = "body_too_large") -> Window:
    window = Window()
    for comparison, times in (
        (Comparison(), agreed),
        (Comparison("label", rows=1, rows_disagreed=1), differing),
        (Comparison(skipped=why), skipped),
    ):
        for _ in range(times):
            window.agreement.observe(comparison)
    return window


def test_it_passes_where_enough_of_the_pairs_were_compared() -> None:
    assert judged(seen(500, 0, 500)).verdict is Verdict.PASS
    assert judged(seen(500, 0, 9_000)).verdict is Verdict.PASS


def test_too_low_a_coverage_is_insufficient_and_says_so() -> None:
    result = judged(seen(500, 0, 20_000))
    assert result.verdict is Verdict.INSUFFICIENT
    assert "500 of 20500 pairs compared, at least 5% asked (body_too_large 20000)" in result.reason
    assert judged(seen(500, 0, 20_000), Gate("agreement", "agreement", 0.9)).verdict is Verdict.PASS


def test_what_differs_is_bad_however_few_were_compared() -> None:
    assert judged(seen(0, 100, 20_000)).verdict is Verdict.FAIL


def test_pairs_of_which_one_failed_are_nothing_to_cover() -> None:
    assert judged(seen(500, 0, 20_000, "not_both_succeeded")).verdict is Verdict.PASS


ERRORS = Gate("errors", "error_rate", 0.01)


def copied(sent: int, failures: int = 0, served: int = 0, **dropped: int) -> Window:
    """A window of so many copies, of which so many failed, and so many answers to clients."""
    window = Window()
    for number in range(sent):
        window.candidate_shadow.observe(500 if number < failures else 200, 0.01)
    for _ in range(served):
        window.candidate.observe(200, 0.01)
    window.shadow.sent = sent
    window.shadow.dropped = dropped
    window.shadow.offered = sent + sum(dropped.values())
    return window


def test_where_most_copies_are_dropped_the_others_do_not_stand_for_them() -> None:
    assert judged(copied(2000, in_flight=1900), ERRORS).verdict is Verdict.PASS
    result = judged(copied(2000, in_flight=1500, bytes=600), ERRORS)
    assert result.verdict is Verdict.INSUFFICIENT
    assert "2000 of 4100 copies sent, at least half of them asked (in_flight 1500, bytes 600)" in result.reason


def test_failures_are_failures_however_many_copies_are_dropped() -> None:
    assert judged(copied(200, failures=200, in_flight=10_000), ERRORS).verdict is Verdict.FAIL


def test_answers_to_clients_stand_for_themselves() -> None:
    assert judged(copied(0, served=2000, in_flight=5000), ERRORS).verdict is Verdict.PASS


def test_copies_kept_from_servers_that_fail_are_known() -> None:
    """The worker has counted each of them as a failure already."""
    window = copied(100, ejected=3000)
    assert window.shadow.known == window.shadow.offered
