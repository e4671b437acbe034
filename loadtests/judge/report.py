"""The figures as a table, as JSON, and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # before pyplot: there may be no display

from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table

from loadtests.judge.results import OURS, Figures, shortfalls, worst_of

INK, ACCENT, GREY = "#1f2933", "#1f6fb2", "#b8c2cc"


def show(figures: Sequence[Figures], console: Console) -> None:
    table = Table(title=f"{figures[0].rollouts} simulated rollouts of an hour for each row")
    for name in ("scenario", "judge"):
        table.add_column(name, no_wrap=True)
    for name in (
        "rolled back\nwrongly",
        "\nfound",
        "after\nseconds",
        "\nrequests",
        "bad\nanswers",
        "\npromoted",
        "\nheld",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    before = ""
    for f in figures:
        if before and f.scenario != before:
            table.add_section()
        promoted = _percent(f.promoted)
        table.add_row(
            f.scenario if f.scenario != before else "",
            f.judge,
            _percent(f.false_rollbacks),
            _percent(f.detected) if f.faulty else "",
            _number(f.seconds),
            _number(f.requests),
            _number(f.bad_answers),
            f"[red]{promoted}[/red]" if f.wrongly_promoted else promoted,
            _percent(f.held),
            style="bold" if f.judge == OURS else "",
        )
        before = f.scenario
    console.print(table)
    worse = shortfalls(figures)
    console.print("\nWhere another does better:" if worse else "\nNo other does better anywhere.", style="bold")
    for line in worse:
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def summary(figures: Sequence[Figures]) -> str:
    """One row for each judge, as Markdown."""
    rows = [
        "| rule | good releases rolled back: mean | worst scenario | bad answers served | bad releases promoted |",
        "|---|---:|---:|---:|---:|",
    ]
    for judge in dict.fromkeys(f.judge for f in figures):
        good = [f.false_rollbacks for f in figures if f.judge == judge and not f.faulty]
        bad = [f for f in figures if f.judge == judge and f.faulty]
        shares = (sum(good) / len(good), worst_of(figures, judge)) if good else (0.0, 0.0)
        served, promoted = sum(f.bad_answers or 0 for f in bad), max((f.promoted for f in bad), default=0.0)
        name = f"**{judge}**" if judge == OURS else judge
        rows.append(
            f"| {name} | {_percent(shares[0])} | {_percent(shares[1])} | {served:,.0f} | {_percent(promoted)} |"
        )
    return "\n".join(rows) + "\n"


def write(figures: Sequence[Figures], folder: Path) -> tuple[Path, ...]:
    """Write judge.json, judge.md and judge.png into `folder`, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    data, table, picture = (folder / f"judge.{ending}" for ending in ("json", "md", "png"))
    table.write_text(summary(figures))
    content = {"figures": [asdict(f) for f in figures], "where_another_does_better": shortfalls(figures)}
    data.write_text(json.dumps(content, indent=1) + "\n")
    draw(figures, picture)
    return data, table, picture


def draw(figures: Sequence[Figures], path: Path) -> None:
    """A row for each judge: left, how many good releases it rolls back; right, how many bad answers it lets through."""
    judges = list(dict.fromkeys(f.judge for f in figures))
    good = {judge: [100 * f.false_rollbacks for f in figures if f.judge == judge and not f.faulty] for judge in judges}
    bad = {judge: sum(f.bad_answers or 0 for f in figures if f.judge == judge) for judge in judges}
    shown, (left, right) = plt.subplots(1, 2, figsize=(11, 0.42 * len(judges) + 1.8), sharey=True)
    left.set_title("Good releases rolled back, % of rollouts", loc="left", fontsize=10, fontweight="bold")
    right.set_title("Bad answers served, all faulty scenarios", loc="left", fontsize=10, fontweight="bold")
    for judge in judges:
        colour = ACCENT if judge == OURS else GREY
        mean, worst = sum(good[judge]) / len(good[judge]), max(good[judge])
        left.barh(judge, mean, color=colour, height=0.7)
        left.plot([mean, worst], [judge, judge], color=INK, linewidth=1)
        left.text(worst + 1, judge, f"{mean:.1f} (worst {worst:.1f})", va="center", fontsize=8)
        right.barh(judge, bad[judge], color=colour, height=0.7)
        right.text(bad[judge] * 1.1, judge, f"{bad[judge]:,.0f}", va="center", fontsize=8)
    left.set_xlim(0, 130)
    left.set_xticks(range(0, 101, 20))
    right.set_xscale("log")
    right.set_xlim(1, 10 * max(bad.values()))
    left.invert_yaxis()
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    shown.tight_layout()
    shown.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(shown)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
