"""Which of the promotion gates are judged while a rollout is under way, and what each of them does there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gates.outside import OutsideGate
from gates.promotion.production import (
    Accuracy,
    Approved,
    Lift,
    NoViolations,
    ProductionGate,
    ShadowPeriod,
)
from gates.promotion.series import SeriesGate


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A gate as a rollout's terms have it, and the rule by which it is judged."""

    gate: OutsideGate
    rule: ProductionGate


def under_way(live: Sequence[SeriesGate], production: Sequence[ProductionGate]) -> Iterator[UnderWay]:
    """What Prometheus sees is asked in every stage. The production gates are asked before the end: the bake is not
    passed without them. What came of the answers, and Prometheus once all traffic is the candidate's, may end the
    rollout as well; what is merely lacking on record costs nobody anything, and waits for a person."""
    for gate in live:
        yield UnderWay(OutsideGate(gate.name, gate.severity, repr(gate), watches="all", holds="all"), gate)
    for rule in production:
        yield UnderWay(_before_the_end(rule), rule)


def _before_the_end(rule: ProductionGate) -> OutsideGate:
    named = (rule.name, rule.severity, repr(rule))
    match rule:
        case ShadowPeriod():
            return OutsideGate(*named, holds="shadow")
        case Accuracy() | Lift():
            return OutsideGate(*named, watches="all", holds="bake")
        case SeriesGate():
            return OutsideGate(*named, watches="bake", holds="bake")
        case NoViolations() | Approved():
            return OutsideGate(*named, holds="bake")
