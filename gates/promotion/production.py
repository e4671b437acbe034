"""Production gates: what shadow, live gates, outcomes and people have said of a candidate before it may be promoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from gates.evidence import Moments, Range, lift_range
from gates.promotion.rule import Bounds, Rule, amount
from gates.promotion.series import Series, SeriesGate
from gates.verdict import GateResult, Verdict

DAY = 86_400.0
Review = Literal["data-science", "devops", "business", "security"]
REVIEWS: tuple[Review, ...] = get_args(Review)
CORRECT = "correct"
"""The outcome that accuracy is read from: 1 where the prediction was right, 0 where it was not."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's review of a version. `at` is wall time in seconds since the epoch."""

    review: Review
    by: str
    note: str
    at: float


@dataclass(frozen=True, slots=True)
class ProductionFacts:
    """What the control plane has on record of a candidate's newest rollout.

    `shadow_seconds` is how long it got copies; `violations` what broke a limit in production, in words; `outcomes` the
    moments of each outcome by arm."""

    rollout: str = ""
    shadow_seconds: float = 0.0
    shadow_ended: bool = False
    violations: tuple[str, ...] = ()
    outcomes: Mapping[str, Mapping[str, Moments]] = field(default_factory=dict)
    approvals: tuple[Approval, ...] = ()

    def arms(self, outcome: str) -> tuple[Moments, Moments]:
        """(candidate, champion)"""
        arms = self.outcomes.get(outcome, {})
        return arms.get("candidate", Moments()), arms.get("champion", Moments())


_SOURCE = "Penstock audit trail"
_OUTCOMES = "Penstock outcomes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPeriod(Rule):
    """The candidate has been in shadow for so many seconds, and was not rolled back there."""

    least: float = 3 * DAY

    def judge(self, facts: ProductionFacts) -> GateResult:
        if not facts.rollout:
            return self.lacking(self.least, "the candidate was never in shadow", _SOURCE)
        told = f"{_days(facts.shadow_seconds)} in shadow: at least {_days(self.least)} asked"
        enough = facts.shadow_seconds >= self.least
        if not (enough or facts.shadow_ended):
            return self.result(Verdict.INSUFFICIENT, facts.shadow_seconds, self.least, f"{told}; still there", _SOURCE)
        verdict = Verdict.PASS if enough else Verdict.FAIL
        return self.result(verdict, facts.shadow_seconds, self.least, told, _SOURCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoViolations(Rule):
    """No critical gate failed, and no limit of the plan was broken, in the whole rollout."""

    def judge(self, facts: ProductionFacts) -> GateResult:
        if not facts.rollout:
            return self.lacking(0.0, "the candidate was never in production", _SOURCE)
        return self.counted(facts.violations, "no limit was broken in the rollout", _SOURCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift(Rule):
    """The candidate's mean of an outcome less the champion's is at least `least`, and that is significant: the whole
    confidence sequence lies there. It may be looked at all the time."""

    outcome: str
    least: float = 0.0
    alpha: float = 0.05

    def judge(self, facts: ProductionFacts) -> GateResult:
        return _lifted(self, facts, self.outcome, Bounds(least=self.least), self.alpha, f"mean {self.outcome}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy(Rule):
    """The candidate's share of right predictions is below the champion's by at most `drop` (0.1 is 10 points of a
    hundred). In a rollout a drop beyond that, beyond doubt, rolls back."""

    outcome: str = CORRECT
    drop: float = 0.1
    alpha: float = 0.01

    def judge(self, facts: ProductionFacts) -> GateResult:
        return _lifted(self, facts, self.outcome, Bounds(least=-self.drop, unit="%"), self.alpha, "accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved(Rule):
    """People have looked at the version, each from their side."""

    reviews: tuple[Review, ...] = REVIEWS

    def judge(self, facts: ProductionFacts) -> GateResult:
        given = {approval.review: approval for approval in facts.approvals}
        missing = [review for review in self.reviews if review not in given]
        details = [f"{a.review}: {a.by}: {a.note}" if a.note else f"{a.review}: {a.by}" for a in given.values()]
        told = ", ".join(f"{review} by {given[review].by}" for review in self.reviews if review in given)
        if missing:
            lacks = f"no review yet of {', '.join(missing)}" + (f"; {told}" if told else "")
            return self.result(Verdict.INSUFFICIENT, float(len(missing)), 0.0, lacks, _SOURCE, details)
        return self.result(Verdict.PASS, 0.0, 0.0, told or "no review is asked for", _SOURCE, details)


ProductionGate = ShadowPeriod | NoViolations | Lift | Accuracy | Approved | SeriesGate


def judge(
    gates: Sequence[ProductionGate], facts: ProductionFacts, series: Mapping[str, Sequence[Series]], prometheus: str
) -> tuple[GateResult, ...]:
    """`series` are the answers of Prometheus, by gate."""
    return tuple(
        gate.judge(series.get(gate.name, ()), prometheus) if isinstance(gate, SeriesGate) else gate.judge(facts)
        for gate in gates
    )


def _lifted(rule: Rule, facts: ProductionFacts, outcome: str, bounds: Bounds, alpha: float, what: str) -> GateResult:
    ours, theirs = facts.arms(outcome)
    least = bounds.least or 0.0
    if not ours.count or not theirs.count:
        return rule.lacking(
            least, f"no outcome {outcome!r} of {'either' if not ours.count else 'the champion'}", _OUTCOMES
        )
    lift = ours.mean - theirs.mean
    told = (
        f"{what} {amount(ours.mean, bounds.unit)} of {ours.count}, the champion's {amount(theirs.mean, bounds.unit)} "
        f"of {theirs.count}: {'+' if lift >= 0 else ''}{amount(lift, bounds.unit)}"
    )
    within = lift_range(ours, theirs, alpha)
    seen = ours.count + theirs.count
    if within is None:
        return rule.result(Verdict.INSUFFICIENT, lift, least, f"{told}: too few to tell", _OUTCOMES, (), seen)
    asked = f"from {amount(within.lower, bounds.unit)} to {amount(within.upper, bounds.unit)}: {bounds} asked"
    return rule.result(_side(within, least), lift, least, f"{told}, {asked}", _OUTCOMES, (), seen)


def _side(within: Range, least: float) -> Verdict:
    if within.lower >= least:
        return Verdict.PASS
    return Verdict.FAIL if within.upper < least else Verdict.INSUFFICIENT


def _days(seconds: float) -> str:
    return (
        f"{seconds / DAY:.3g} days"
        if seconds >= DAY
        else f"{seconds / 3600:.3g} h"
        if seconds >= 3600
        else f"{seconds:.3g} s"
    )
