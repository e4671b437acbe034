"""What people and pipelines put on record beside the decisions: reviews, reports of gates, overrides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from gates.promotion.production import Approval, Review
from gates.promotion.report import Report
from gates.state import AuditRow
from gates.verdict import Light
from proxy.snapshot import Phase

APPROVE, GATE, OVERRIDE = "approve", "gate", "override"


class NoGo(Exception):
    """The gates before a rollout, or before its promotion, say NO-GO; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What an approval's audit row keeps beside who, when and why."""

    candidate: str
    review: Review


def approval_row(model: str, candidate: str, review: Review, by: str, note: str, at: float) -> AuditRow:
    reviewed = msgspec.json.encode(Reviewed(candidate, review)).decode()
    reason = f"{review} review of version {candidate}" + (f": {note}" if note else "")
    return _row(model, APPROVE, by, reason, at, reviewed)


def report_row(report: Report, by: str, at: float) -> AuditRow:
    stages = ", ".join(f"{stage.stage} {stage.light}" for stage in report.stages)
    inputs = msgspec.json.encode(report).decode()
    return _row(report.model, GATE, by, f"version {report.candidate}: {stages}", at, inputs)


def override_row(model: str, candidate: str, cause: str, by: str, reason: str, at: float) -> AuditRow:
    """A person goes on against the gates: `cause` is what they said."""
    inputs = msgspec.json.encode({"candidate": candidate, "cause": cause}).decode()
    return _row(model, OVERRIDE, by, f"{reason} (against: {cause})", at, inputs)


def approvals_in(rows: Iterable[AuditRow], candidate: str) -> tuple[Approval, ...]:
    """The newest of each review of the candidate; `rows` newest first."""
    found: dict[str, Approval] = {}
    for row in rows:
        if row.event != APPROVE:
            continue
        reviewed = msgspec.json.decode(row.inputs, type=Reviewed)
        if reviewed.candidate == candidate and reviewed.review not in found:
            note = row.reason.partition(": ")[2]
            found[reviewed.review] = Approval(reviewed.review, row.by, note, row.at)
    return tuple(found.values())


def newest_report(rows: Iterable[AuditRow], candidate: str, stage: str) -> Report | None:
    """The newest on record that judged this stage of the candidate; `rows` newest first."""
    for row in rows:
        if row.event == GATE:
            report = msgspec.json.decode(row.inputs, type=Report)
            if report.candidate == candidate and any(one.stage == stage for one in report.stages):
                return report
    return None


def no_go(report: Report, stage: str) -> str:
    """Why the stage is a NO-GO, "" where it is none."""
    judged = next((one for one in report.stages if one.stage == stage), None)
    if judged is None or judged.light is not Light.NO_GO:
        return ""
    failing = [f"{g.gate}: {g.reason}" for g in judged.gates if g.verdict == "FAIL" and g.severity == "critical"]
    return f"{stage} gates are NO-GO: {'; '.join(failing)}"


def _row(model: str, event: str, by: str, reason: str, at: float, inputs: str) -> AuditRow:
    return AuditRow(0, at, model, "", event, by, reason, Phase.IDLE, 0, inputs)
