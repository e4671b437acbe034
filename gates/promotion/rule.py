"""What every promotion gate is: a name, a weight, and a verdict over facts. What is not known is INSUFFICIENT."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gates.verdict import GateResult, Severity, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A named rule. Its verdict rests on one look at facts, not on a stream of evidence."""

    name: str
    severity: Severity = "critical"

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("gate: name is empty")

    def result(
        self,
        verdict: Verdict,
        value: float | None,
        limit: float,
        reason: str,
        source: str,
        details: Iterable[str] = (),
        observations: int = 1,
    ) -> GateResult:
        failed, passed = verdict is Verdict.FAIL, verdict is Verdict.PASS
        return GateResult(
            gate=self.name,
            severity=self.severity,
            verdict=verdict,
            value=value,
            limit=limit,
            observations=0 if value is None else observations,
            events=int(failed),
            toward_pass=float(passed),
            toward_fail=float(failed),
            reason=reason,
            source=source,
            details=tuple(details),
        )

    def lacking(self, limit: float, reason: str, source: str, details: Iterable[str] = ()) -> GateResult:
        """No data: never taken for a pass, nor for a failure."""
        return self.result(Verdict.INSUFFICIENT, None, limit, reason, source, details)

    def counted(self, wrong: Iterable[str], told: str, source: str, details: Iterable[str] | None = None) -> GateResult:
        """A rule that allows no exception: FAIL by as many as are `wrong`. `told` is what passes, in words."""
        wrong = list(wrong)
        verdict = Verdict.FAIL if wrong else Verdict.PASS
        reason = f"{len(wrong)} wrong: {'; '.join(wrong)}" if wrong else told
        return self.result(verdict, float(len(wrong)), 0.0, reason, source, wrong if details is None else details)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number may be; None where that side is open. `unit` is for people."""

    least: float | None = None
    most: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        for bound in (self.least, self.most):
            if bound is not None and not math.isfinite(bound):
                raise ValueError(f"a bound of {bound} says nothing")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"nothing is at least {self.least:g} and at most {self.most:g}")

    @property
    def limit(self) -> float:
        """The bound that is told: the upper one where there are two, 0 where there is none."""
        return self.most if self.most is not None else self.least if self.least is not None else 0.0

    def holds(self, value: float) -> bool:
        above = self.least is None or value >= self.least
        return above and (self.most is None or value <= self.most)

    def excess(self, value: float) -> float:
        """How far a value is outside, in its own unit; negative inside. The larger, the worse."""
        sides = []
        if self.least is not None:
            sides.append(self.least - value)
        if self.most is not None:
            sides.append(value - self.most)
        return max(sides, default=-math.inf)

    def __str__(self) -> str:
        least = "" if self.least is None else f"at least {amount(self.least, self.unit)}"
        most = "" if self.most is None else f"at most {amount(self.most, self.unit)}"
        return " and ".join(part for part in (least, most) if part) or "anything"


UNBOUNDED = Bounds()


def amount(value: float, unit: str = "") -> str:
    """A number in a person's words. Units `%` and `MiB` take shares and bytes; `s` tells short times in ms."""
    match unit:
        case "%":
            return f"{value * 100:.4g} %"
        case "s" if abs(value) < 1:
            return f"{value * 1000:.4g} ms"
        case "MiB":
            return f"{value / 2**20:.4g} MiB"
        case _:
            return f"{value:.6g} {unit}".rstrip()
