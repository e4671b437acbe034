"""The record of what was decided, as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gates.phases import Event
from gates.plan import Plan
from gates.state import AuditRow
from gates.terminal import PHASES
from gates.terminal.wording import plain, words


def events_view(rows: Sequence[AuditRow]) -> RenderableType:
    """What was done, by whom and why, one after the other."""
    if not rows:
        return Text("nothing has happened yet", style="dim")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("when", "event", "phase", "by", "why"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("when", "event"))
    for row in rows:
        when = datetime.fromtimestamp(row.at).strftime("%m-%d %H:%M:%S")
        style = next((style for phase, style in PHASES.items() if phase == row.phase), "")
        event, phase = Text(words(plain(row.event))), Text(_phase(row), style=style)
        table.add_row(when, event, phase, Text(plain(row.by)), Text(plain(row.reason)))
    return table


def decision_line(row: AuditRow) -> Text:
    """One decision as one line."""
    when = datetime.fromtimestamp(row.at).strftime("%Y-%m-%d %H:%M:%S")
    style = next((style for phase, style in PHASES.items() if phase == row.phase), "")
    line = Text.assemble((when, "dim"), f"  {plain(row.model)}  ", (words(plain(row.event)), style))
    if words(row.event) != words(row.phase):
        line.append(f" -> {_phase(row)}", style)
    return line.append(f"  by {plain(row.by)}: {plain(row.reason)}")


class _Terms(msgspec.Struct):
    plan: Plan


class _Rollout(msgspec.Struct):
    terms: _Terms


class _Inputs(msgspec.Struct):
    rollout: _Rollout


def _phase(row: AuditRow) -> str:
    """Where it led to; of a step, to which share."""
    phase = words(plain(row.phase))
    if row.event not in (Event.CLIMB, Event.STEP_DOWN):
        return phase
    try:
        plan = msgspec.json.decode(row.inputs, type=_Inputs).rollout.terms.plan
    except ValueError:  # msgspec's too: a record that another version has made
        return phase
    return f"{phase} at {plan.stages[row.position].share_bp / 100:g} %" if row.position <= plan.last else phase
