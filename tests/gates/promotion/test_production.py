"""Production rules over what is on record."""

from __future__ import annotations

import pytest

from gates.evidence import Moments
from gates.promotion.production import (
    DAY,
    Accuracy,
    Approval,
    Approved,
    Lift,
    NoViolations,
    ProductionFacts,
    ProductionGate,
    ShadowPeriod,
    judge,
)
from gates.verdict import Verdict


def rate(right: int, of: int) -> Moments:
    share = right / of
    return Moments(of, share, of * share * (1 - share))


def verdict(gate: ProductionGate, facts: ProductionFacts) -> Verdict:
    (result,) = judge([gate], facts, {}, "")
    return result.verdict


def with_accuracy(candidate: float, champion: float, of: int = 20_000) -> ProductionFacts:
    arms = {"candidate": rate(int(candidate * of), of), "champion": rate(int(champion * of), of)}
    return ProductionFacts("r1", outcomes={"correct": arms})


@pytest.mark.parametrize(
    ("days", "ended", "expected"),
    [
        (3.1, True, Verdict.PASS),
        (2.9, True, Verdict.FAIL),
        (9, False, Verdict.PASS),
        (2.9, False, Verdict.INSUFFICIENT),
    ],
)
def test_shadow_has_to_be_long_enough_and_passed(days: float, ended: bool, expected: Verdict) -> None:
    gate = ShadowPeriod(name="shadow_period", least=3 * DAY)
    assert verdict(gate, ProductionFacts("r1", days * DAY, ended)) is expected
    assert verdict(gate, ProductionFacts()) is Verdict.INSUFFICIENT


def test_a_broken_limit_is_told() -> None:
    gate = NoViolations(name="sla")
    assert verdict(gate, ProductionFacts("r1")) is Verdict.PASS
    assert verdict(gate, ProductionFacts("r1", violations=("gate latency: p99 900 ms",))) is Verdict.FAIL
    assert verdict(gate, ProductionFacts()) is Verdict.INSUFFICIENT


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [(0.94, Verdict.PASS), (0.92, Verdict.PASS), (0.82, Verdict.FAIL), (0.84, Verdict.INSUFFICIENT)],
)
def test_a_drop_beyond_the_limit_fails_when_it_is_beyond_doubt(candidate: float, expected: Verdict) -> None:
    assert verdict(Accuracy(name="accuracy"), with_accuracy(candidate, 0.94)) is expected
    assert verdict(Accuracy(name="accuracy"), with_accuracy(candidate, 0.94, of=50)) is Verdict.INSUFFICIENT


def test_lift_has_to_be_significant() -> None:
    gate = Lift(name="lift", outcome="correct")
    assert verdict(gate, with_accuracy(0.95, 0.90)) is Verdict.PASS
    assert verdict(gate, with_accuracy(0.90, 0.95)) is Verdict.FAIL
    assert verdict(gate, with_accuracy(0.951, 0.95)) is Verdict.INSUFFICIENT
    assert verdict(gate, ProductionFacts("r1")) is Verdict.INSUFFICIENT


def test_every_review_that_is_asked_for_has_to_be_there() -> None:
    gate = Approved(name="approvals", reviews=("devops", "security"))
    one = ProductionFacts(approvals=(Approval("devops", "ada", "ready", 1.0),))
    assert verdict(gate, one) is Verdict.INSUFFICIENT
    both = ProductionFacts(approvals=(*one.approvals, Approval("security", "eve", "", 2.0)))
    (result,) = judge([gate], both, {}, "")
    assert (result.verdict, result.reason) == (Verdict.PASS, "devops by ada, security by eve")
