"""Verdicts: of one gate, and the traffic light of a set of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Severity = Literal["critical", "advisory"]


class Verdict(StrEnum):
    """Of one gate. INSUFFICIENT is no or too little data: never taken for either of the others."""

    PASS = "PASS"
    FAIL = "FAIL"
    INSUFFICIENT = "INSUFFICIENT"


class Light(StrEnum):
    """Of a set of gates, as people and pipelines read it."""

    GO = "GO"
    WARNING = "WARNING"
    NO_GO = "NO-GO"


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate, judged: what it saw, what it may see, and how far it is from deciding.

    `value` and `limit` are in the gate's own unit (a share, or seconds). `toward_pass` and `toward_fail` are the
    parts, 0 to 1, of the evidence that each verdict needs which are there already."""

    gate: str
    severity: Severity
    verdict: Verdict
    value: float | None
    limit: float
    observations: int
    events: int
    toward_pass: float
    toward_fail: float
    reason: str
    source: str = ""
    """Where the value was read, for gates that look elsewhere than at the windows."""
    details: tuple[str, ...] = ()
    """What a person wants to see behind the reason, a line each: columns, slices, series."""


def light(results: Iterable[GateResult]) -> Light:
    """NO-GO where a critical gate fails; GO where every gate passes; WARNING between them."""
    results = list(results)
    if any(result.verdict is Verdict.FAIL and result.severity == "critical" for result in results):
        return Light.NO_GO
    if results and all(result.verdict is Verdict.PASS for result in results):
        return Light.GO
    return Light.WARNING


def failed(results: Iterable[GateResult]) -> GateResult | None:
    """The first critical gate that fails, None where none does."""
    return next((r for r in results if r.severity == "critical" and r.verdict is Verdict.FAIL), None)


def undecided(results: Iterable[GateResult]) -> list[str]:
    """The names of the critical gates that do not pass yet."""
    return [r.gate for r in results if r.severity == "critical" and r.verdict is not Verdict.PASS]
