"""An agreement that rests on too few of the pairs does not pass, and status says why they were not compared."""

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
