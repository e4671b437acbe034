"""The keys of the production gates: what shadow, limits, outcomes and people said."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gates.promotion.production import CORRECT, REVIEWS, Accuracy, Approved, Lift, NoViolations, Review, ShadowPeriod
from gates.settings import kinds
from gates.settings.kinds import written
from gates.settings.promotion.rules import Number, RuleKeys, told_by_name
from gates.settings.promotion.series import PrometheusKeys


class ShadowPeriodKeys(RuleKeys):
    """The candidate was in shadow for long enough, and passed it."""

    metric: Literal["shadow_period"] = "shadow_period"
    """What is watched. A gate that is named after it need not say."""
    min: kinds.Duration = written("3d")
    """The least time: 3d."""

    def gate(self, name: str) -> ShadowPeriod:
        return ShadowPeriod(name=name, severity=self.severity, least=self.min)


class ViolationsKeys(RuleKeys):
    """No critical live gate failed and no limit of the plan was broken in the candidate's rollout."""

    metric: Literal["sla_violations"] = "sla_violations"
    """What is watched. A gate that is named after it need not say."""

    def gate(self, name: str) -> NoViolations:
        return NoViolations(name=name, severity=self.severity)


class LiftKeys(RuleKeys):
    """The candidate does better by an outcome, and that is significant: the whole confidence sequence is above min."""

    metric: Literal["lift"] = "lift"
    """What is watched. A gate that is named after it need not say."""
    outcome: kinds.Name
    """The outcome's name, as it is posted to /api/outcomes."""
    min: Number = 0.0
    """The least lift, in the outcome's own unit."""
    alpha: kinds.Share = written("5%")
    """The probability that the confidence sequence ever misses the truth."""

    def gate(self, name: str) -> Lift:
        return Lift(name=name, severity=self.severity, outcome=self.outcome, least=self.min, alpha=self.alpha)


class AccuracyKeys(RuleKeys):
    """The candidate is right nearly as often as the champion, by late labels. In a rollout it rolls back live."""

    metric: Literal["accuracy"] = "accuracy"
    """What is watched. A gate that is named after it need not say."""
    outcome: kinds.Name = CORRECT
    """The outcome that is 1 for a right prediction and 0 for a wrong one."""
    max_drop: kinds.Share = written("10%")
    """By how many points of a hundred it may lie below the champion's."""
    alpha: kinds.Share = written("1%")
    """The probability that it fails a candidate that keeps within that."""

    def gate(self, name: str) -> Accuracy:
        return Accuracy(name=name, severity=self.severity, outcome=self.outcome, drop=self.max_drop, alpha=self.alpha)


class ApprovalKeys(RuleKeys):
    """People have approved the version: penstock approve."""

    metric: Literal["approvals"] = "approvals"
    """What is watched. A gate that is named after it need not say."""
    reviews: list[Review] = written(list(REVIEWS))
    """Whose reviews are asked for."""

    def gate(self, name: str) -> Approved:
        return Approved(name=name, severity=self.severity, reviews=tuple(self.reviews))


AnyProduction = Annotated[
    ShadowPeriodKeys | ViolationsKeys | LiftKeys | AccuracyKeys | ApprovalKeys | PrometheusKeys,
    Field(discriminator="metric"),
]
ProductionKeys = Annotated[dict[kinds.Name, AnyProduction], BeforeValidator(told_by_name(AnyProduction))]
