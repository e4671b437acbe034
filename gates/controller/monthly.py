"""A month of the audit trail as people who were not there read it: what was tried, what came of it, who decided, and
where somebody went on against the gates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gates.controller.people import APPROVE, GATE, OVERRIDE
from gates.controller.revert import REVERT
from gates.controller.turns import Step, steps_of
from gates.phases import ENDED, Event
from gates.ports import AuditRow


@dataclass(frozen=True, slots=True)
class Month:
    """From `first` on, up to `end` (wall seconds since the epoch, UTC)."""

    name: str
    first: float
    end: float

    @classmethod
    def of(cls, text: str) -> Month:
        """Of `2026-11`. Raises ValueError."""
        begins = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        after = begins.replace(year=begins.year + begins.month // 12, month=begins.month % 12 + 1)
        return cls(f"{begins:%B %Y}", begins.timestamp(), after.timestamp())

    def holds(self, row: AuditRow) -> bool:
        return self.first <= row.at < self.end


def markdown(rows: Iterable[AuditRow], month: Month, head: str) -> str:
    """`rows` oldest first, the whole trail; `head` is the hash of its end, by which the report can be held to it."""
    within = [row for row in rows if month.holds(row)]
    steps = list(steps_of(within))
    lines = [f"# Model rollouts in {month.name}", "", *_summary(within, steps), ""]
    for model in sorted({row.model for row in within}):
        lines += [f"## {_cell(model)}", "", *_rollouts([s for s in steps if s.row.model == model])]
        lines += _others([row for row in within if row.model == model])
    return "\n".join(
        [*lines, f"_From the audit trail, {len(within)} rows of the month; the trail's head is `{head}`._", ""]
    )


def _summary(rows: Sequence[AuditRow], steps: Sequence[Step]) -> Iterator[str]:
    events = Counter(row.event for row in rows)
    by_gate = sum(step.decision.event is Event.ROLL_BACK and _by_gate(step) for step in steps)
    yield from ("| | |", "|---|---:|")
    yield f"| rollouts started | {events[Event.START]} |"
    yield f"| promoted | {events[Event.PROMOTE]} |"
    yield f"| rolled back | {events[Event.ROLL_BACK]}, {by_gate} of them by a gate |"
    yield f"| taken back to an earlier version | {events[REVERT]} |"
    yield f"| gates checked before a rollout or promotion | {events[GATE]} |"
    yield f"| gone on against the gates | {events[OVERRIDE]} |"
    yield f"| reviews by people | {events[APPROVE]} |"


def _rollouts(steps: Sequence[Step]) -> Iterator[str]:
    if not steps:
        return
    yield from ("| candidate | champion | began | ended | came to | by | why |", "|---|---|---|---|---|---|---|")
    for rollout in dict.fromkeys(step.decision.rollout.id for step in steps):
        mine = [step for step in steps if step.decision.rollout.id == rollout]
        last, after = mine[-1].row, mine[-1].decision.rollout
        began = next((_when(s.row) for s in mine if s.decision.event is Event.START), "earlier")
        ended = _when(last) if after.phase in ENDED else "not yet"
        cells = (
            after.candidate,
            after.champion,
            began,
            ended,
            str(after.phase).replace("_", " "),
            last.by,
            last.reason,
        )
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _others(rows: Sequence[AuditRow]) -> Iterator[str]:
    """What stands beside the decisions."""
    told = [row for row in rows if row.event in (APPROVE, GATE, OVERRIDE, REVERT, "configure")]
    for row in told:
        yield f"- {_when(row)}: **{row.event}** by {_cell(row.by)}: {_cell(row.reason)}"
    if told:
        yield ""


def _by_gate(step: Step) -> bool:
    return bool(step.decision.rollout.gate) or step.row.by.startswith("gate ")


def _when(row: AuditRow) -> str:
    return f"{datetime.fromtimestamp(row.at, UTC):%Y-%m-%d %H:%M}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
