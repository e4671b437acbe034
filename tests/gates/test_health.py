from __future__ import annotations

import pytest

from gates.gate import Budget, Gate
from gates.health import Health, champion_health
from gates.verdict import Verdict
from proxy.window import Window


def window(answers: int, failed: int) -> Window:
    made = Window()
    for number in range(answers):
        lane = made.champion if number % 2 else made.champion_shadow
        lane.observe(500 if number < failed else 200, 0.01)
    return made


@pytest.mark.parametrize(
    ("answers", "failed", "verdict"),
    [
        (0, 0, Verdict.INSUFFICIENT),
        (20, 0, Verdict.INSUFFICIENT),
        (1_000, 0, Verdict.PASS),
        (100, 30, Verdict.FAIL),
        (1_000, 30, Verdict.FAIL),
    ],
)
def test_the_champions_own_answers_tell(answers: int, failed: int, verdict: Verdict) -> None:
    assert champion_health((), window(answers, failed), Budget()) == Health(answers, failed, verdict)


def test_it_is_held_to_the_loosest_error_rate_of_the_gates() -> None:
    gates = (Gate("a", "error_rate", 0.001), Gate("b", "error_rate", 0.1), Gate("c", "latency", 0.5))
    assert champion_health(gates, window(1_000, 30), Budget()).verdict is Verdict.PASS
