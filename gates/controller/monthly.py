"""A month of the audit trail as people who were not there read it: what was tried, what came of it, who decided, and
where somebody went on against the gates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gates.controller.people import APPROVE, GATE, OVERRIDE
from gates.controller.revert import REVERT
from gates.controller.turns import Step, steps_of
from gates.phases import ENDED, Event
from gates.state import AuditRow


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


@dataclass(frozen=True, slots=True)
class Trial:
    """A rollout of the month; `began` is None where that was earlier, `ended` where it goes on. Times are wall time."""

    candidate: str
    champion: str
    began: float | None
    ended: float | None
    came_to: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Told:
    """What stands beside the rollouts: a review, a check of gates, a way back."""

    at: float
    event: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Account:
    """One model's month."""

    model: str
    rollouts: tuple[Trial, ...]
    others: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """`head` is the hash of the trail's end, by which the report can be held to it; `rows` are those of the month."""

    month: str
    counts: dict[str, int]
    models: tuple[Account, ...]
    rows: int
    head: str

    @classmethod
    def of(cls, trail: Iterable[AuditRow], month: Month, head: str) -> Report:
        """`trail` is the whole of it, oldest first."""
        rows = [row for row in trail if month.holds(row)]
        steps = list(steps_of(rows))
        models = sorted({row.model for row in rows})
        return cls(month.name, _counts(rows, steps), tuple(_account(m, rows, steps) for m in models), len(rows), head)


def _counts(rows: Sequence[AuditRow], steps: Sequence[Step]) -> dict[str, int]:
    events = Counter(row.event for row in rows)
    return {
        "started": events[Event.START],
        "promoted": events[Event.PROMOTE],
        "rolled_back": events[Event.ROLL_BACK],
        "rolled_back_by_a_gate": sum(s.decision.event is Event.ROLL_BACK and _by_gate(s) for s in steps),
        "reverted": events[REVERT],
        "gates_checked": events[GATE],
        "overridden": events[OVERRIDE],
        "reviewed": events[APPROVE],
    }


def _account(model: str, rows: Sequence[AuditRow], steps: Sequence[Step]) -> Account:
    mine = [step for step in steps if step.row.model == model]
    rollouts = dict.fromkeys(step.decision.rollout.id for step in mine)
    told = [row for row in rows if row.model == model and row.event in (APPROVE, GATE, OVERRIDE, REVERT, "configure")]
    return Account(
        model,
        tuple(_trial([step for step in mine if step.decision.rollout.id == rollout]) for rollout in rollouts),
        tuple(Told(row.at, row.event, row.by, row.reason) for row in told),
    )


def _trial(steps: Sequence[Step]) -> Trial:
    last, after = steps[-1].row, steps[-1].decision.rollout
    return Trial(
        after.candidate,
        after.champion,
        began=next((step.row.at for step in steps if step.decision.event is Event.START), None),
        ended=last.at if after.phase in ENDED else None,
        came_to=after.phase,
        by=last.by,
        why=last.reason,
    )


def _by_gate(step: Step) -> bool:
    return bool(step.decision.rollout.gate) or step.row.by.startswith("gate ")


def markdown(report: Report) -> str:
    lines = [f"# Model rollouts in {report.month}", "", *_summary(report.counts), ""]
    for account in report.models:
        lines += [f"## {_cell(account.model)}", "", *_rollouts(account.rollouts), *_others(account.others)]
    source = f"_From the audit trail, {report.rows} rows of the month; the trail's head is `{report.head}`._"
    return "\n".join([*lines, source, ""])


def _summary(counts: Mapping[str, int]) -> Iterator[str]:
    yield from ("| | |", "|---|---:|")
    yield f"| rollouts started | {counts['started']} |"
    yield f"| promoted | {counts['promoted']} |"
    yield f"| rolled back | {counts['rolled_back']}, {counts['rolled_back_by_a_gate']} of them by a gate |"
    yield f"| taken back to an earlier version | {counts['reverted']} |"
    yield f"| gates checked before a rollout or promotion | {counts['gates_checked']} |"
    yield f"| gone on against the gates | {counts['overridden']} |"
    yield f"| reviews by people | {counts['reviewed']} |"


def _rollouts(trials: Sequence[Trial]) -> Iterator[str]:
    if not trials:
        return
    yield from ("| candidate | champion | began | ended | came to | by | why |", "|---|---|---|---|---|---|---|")
    for trial in trials:
        began, ended = _when(trial.began, "earlier"), _when(trial.ended, "not yet")
        came_to = trial.came_to.replace("_", " ")
        cells = (trial.candidate, trial.champion, began, ended, came_to, trial.by, trial.why)
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _others(told: Sequence[Told]) -> Iterator[str]:
    for one in told:
        yield f"- {_when(one.at)}: **{one.event}** by {_cell(one.by)}: {_cell(one.why)}"
    if told:
        yield ""


def _when(at: float | None, otherwise: str = "") -> str:
    return otherwise if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
