"""A gate over what no window holds: what Prometheus sees, what came of the answers, what people said."""

from __future__ import annotations

from dataclasses import dataclass

from gates.gate import Scope
from gates.verdict import GateResult, Severity, Verdict
from proxy.snapshot import Phase


@dataclass(frozen=True, slots=True)
class OutsideGate:
    """What a rollout's terms say of it; who asks it knows how. `asked` is its whole rule, so that another rule is
    another gate.

    `watches` names the stages in which its failure ends the rollout, `holds` those that are not passed before it
    passes; None names none. Its verdict is what was heard last, and rests on one look: it takes no part in the budget
    for false alarms."""

    name: str
    severity: Severity
    asked: str
    watches: Scope | None = None
    holds: Scope | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("gate: name is empty")
        if self.watches is None and self.holds is None:
            raise ValueError(f"gate {self.name}: it neither watches nor holds a stage")

    def ends(self, phase: Phase) -> bool:
        """Whether a failure in a stage of this phase (shadow, ramp or bake) is held against the candidate."""
        return self.watches in ("all", phase)

    def keeps(self, phase: Phase) -> bool:
        """Whether a stage of this phase is not passed without it."""
        return self.holds in ("all", phase)

    @property
    def unheard(self) -> GateResult:
        """Nothing has been heard of it yet, or not for so long that it says nothing about now."""
        return GateResult(
            self.name, self.severity, Verdict.INSUFFICIENT, None, 0.0, 0, 0, 0.0, 0.0, "nothing heard yet"
        )
