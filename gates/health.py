"""How the champion is: whoever takes traffic from a candidate gives it to the champion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gates.counts import champion_lane
from gates.evidence import log_evidence_above, log_evidence_below, threshold
from gates.gate import Budget, Gate
from gates.verdict import Verdict
from proxy.window import Window


@dataclass(frozen=True, slots=True)
class Health:
    """The champion's own record in a stage: PASS is well, FAIL is failing as well, INSUFFICIENT is not known."""

    answers: int
    failures: int
    verdict: Verdict

    def __str__(self) -> str:
        if not self.answers:
            return "the champion has answered nothing in this stage, and may be cold"
        counted = f"{self.failures} failed of {self.answers}"
        match self.verdict:
            case Verdict.PASS:
                return f"the champion is well: {counted}"
            case Verdict.FAIL:
                return f"the champion fails as well: {counted}"
            case Verdict.INSUFFICIENT:
                return f"the champion: {counted}"


UNSEEN = Health(0, 0, Verdict.INSUFFICIENT)
USUAL_ERRORS = 0.01


def champion_health(gates: Iterable[Gate], window: Window, budget: Budget) -> Health:
    """By the loosest error rate that a gate asks of the candidate, 1 % where none does. It is told, and blocks nothing:
    a candidate that fails has to go, whatever is behind it."""
    lane = champion_lane(window)
    limit = max((gate.limit for gate in gates if gate.metric == "error_rate"), default=USUAL_ERRORS)
    failing = log_evidence_above(lane.failures, lane.answers, limit) >= threshold(budget.false_alarm)
    well = log_evidence_below(lane.failures, lane.answers, limit) >= threshold(budget.false_pass)
    verdict = Verdict.FAIL if failing else Verdict.PASS if well else Verdict.INSUFFICIENT
    return Health(lane.answers, lane.failures, verdict)
