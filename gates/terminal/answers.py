"""How the two versions' answers lie to each other: agreement, outputs, slices."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gates.drift import DRIFTED, MOVED, Drift
from gates.status import AgreementStatus, RolloutStatus, SliceStatus
from gates.terminal.wording import CANDIDATE, CHAMPION, floor_percent, milliseconds, plain

MOST_COLUMNS = 5
MOST_VALUES = 6


def answers_compared(rollout: RolloutStatus) -> list[RenderableType]:
    parts: list[RenderableType] = [_agreement(rollout.agreement)]
    if rollout.outputs:
        parts += [Text(), *_outputs(rollout.outputs)]
    for name, values in rollout.slices.items():
        if values:
            parts += [Text(), *_slice(name, values)]
    return parts


def _agreement(agreement: AgreementStatus) -> Text:
    if agreement.share is None:
        return Text("no pairs of answers compared yet", style="dim")
    share = floor_percent(agreement.share)
    line = Text.assemble((f"{share} agreement", "bold"), f" over {agreement.compared:,} pairs")
    if agreement.disagreed:
        found = sorted(agreement.findings.items(), key=lambda item: -item[1])
        kinds = ", ".join(f"{plain(kind)} {count:,}" for kind, count in found)
        line.append(f"; {agreement.disagreed:,} differ: {kinds}")
    if agreement.coverage is not None and agreement.coverage < 1:
        reasons = ", ".join(f"{plain(why)} {count:,}" for why, count in sorted(agreement.skipped.items()))
        line.append(f"; {floor_percent(agreement.coverage)} of the pairs compared", style="yellow")
        line.append(f" (not: {reasons})", style="dim")
    line.append("".join(f"\n{told}" for told in _extent(agreement)), style="dim")
    sure = f"\n95 % sure: from {floor_percent(agreement.low)} to {floor_percent(agreement.high)}"
    if agreement.noise is not None:
        itself = f"{floor_percent(agreement.noise)} of {agreement.noise_compared:,}"
        sure += f"; the champion agrees with itself in {itself}"
    return line.append(sure, style="dim")


def _extent(agreement: AgreementStatus) -> Iterator[str]:
    """In how many rows they differ, and numbers by how much."""
    if agreement.rows_disagreed:
        rows = f"{agreement.rows_disagreed:,} of {agreement.rows:,} rows"
        yield f"{rows} differ, in answers that are not the same bytes"
    if agreement.largest_gap:
        gaps = (("p50", agreement.gap_p50), ("p99", agreement.gap_p99))
        usual = "".join(f"{gap:.3g} ({name}), " for name, gap in gaps if gap is not None)
        yield f"numbers are apart by {usual}{agreement.largest_gap:.3g} at most"


def _outputs(outputs: tuple[Drift, ...]) -> Iterator[RenderableType]:
    """The columns that have drifted most: what was counted of either, and how far apart they lie."""
    table = _table("outputs", "champion", "candidate", "PSI", "")
    shown = sorted(outputs, key=lambda column: (not column.constant, -(column.psi or 0), column.column))[:MOST_COLUMNS]
    for column in shown:
        told, style = _drift(column)
        index = "-" if column.psi is None else f"{column.psi:.3f}"
        counted = (f"{count:,}" for count in column.counted)
        table.add_row(_name(column.column or "the answer"), *counted, Text(index, style), Text(told, style))
    yield table
    yield from _more(len(outputs) - len(shown), "columns have drifted less")


def _drift(column: Drift) -> tuple[str, str]:
    champion, candidate = (f"{missing:,}" for missing in column.missing)
    missing = f"; missing: {champion} and {candidate}" if any(column.missing) else ""
    if column.constant:
        return f"one answer to everything{missing}", "bold red"
    if column.psi is None:
        return f"too few to tell{missing}", "dim"
    if column.psi > DRIFTED:
        return f"drifted{missing}", "bold red"
    return (f"moved{missing}", "yellow") if column.psi > MOVED else (f"alike{missing}", "dim")


def _slice(name: str, values: tuple[SliceStatus, ...]) -> Iterator[RenderableType]:
    """The busiest values; of each arm what it failed, and of how many."""
    table = _table(plain(name), "champion", "p99", "candidate", "p99", "agreement")
    for one in values[:MOST_VALUES]:
        row: list[Text | str] = []
        for lane, style in ((one.champion, CHAMPION), (one.candidate, CANDIDATE)):
            failed = f"{lane.failures:,} of {lane.answers:,}"
            row += [Text(failed, "red" if lane.failures else style), milliseconds(lane.p99_ms)]
        table.add_row(_name(one.value), *row, Text(_agreed(one), "yellow" if one.disagreed else ""))
    yield table
    others = values[MOST_VALUES:]
    worst = max(others, key=_disagreeing, default=None)
    told = f"; {plain(worst.value)} agrees least of them, {_agreed(worst)}" if worst and worst.disagreed else ""
    yield from _more(len(others), f"values of {plain(name)} have less traffic{told}")


def _agreed(one: SliceStatus) -> str:
    return floor_percent(1 - _disagreeing(one)) if one.compared else "-"


def _disagreeing(one: SliceStatus) -> float:
    return one.disagreed / one.compared if one.compared else 0.0


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 0, 0, 2), pad_edge=False, header_style="dim")
    table.add_column(headings[0], no_wrap=True, overflow="ellipsis", max_width=22)
    for heading in headings[1:]:
        table.add_column(heading, justify="right" if heading else "left")
    return table


def _name(name: str) -> Text:
    return Text(plain(name))


def _more(count: int, what: str) -> Iterator[Text]:
    if count > 0:
        yield Text(f"{count:,} more {what}", style="dim")
