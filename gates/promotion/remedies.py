"""What is done about a critical gate that fails: by nobody, unless it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gates.promotion.report import Report
from gates.verdict import GateResult, Verdict


@dataclass(frozen=True, slots=True)
class Webhook:
    """A POST of `body` as JSON. The address may hold a secret, and stays out of the repr."""

    url: str = field(repr=False)
    body: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"webhook to {parts.hostname}{parts.path}"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What a gate's failure calls for: the rollout's end, a webhook, or both, in that order."""

    gate: str
    rollback: bool = False
    webhook: Webhook | None = None

    def __str__(self) -> str:
        both = ("roll back" if self.rollback else "", str(self.webhook) if self.webhook else "")
        return " and ".join(part for part in both if part)


def due(report: Report, remedies: Mapping[str, Remedy]) -> Iterator[tuple[GateResult, Remedy]]:
    """The remedies of the critical gates that fail. INSUFFICIENT calls for none: nobody acts on what is not known."""
    for result in report.results:
        failed = result.verdict is Verdict.FAIL and result.severity == "critical"
        if failed and result.gate in remedies:
            yield result, remedies[result.gate]
