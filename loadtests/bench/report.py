"""What is read afterwards: a table on the terminal, the same in Markdown, and everything in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from loadtests.bench.results import Finding, Result, Row

_COLUMNS = (
    ("requests/s", "requests_per_second", 1.0, "{:,.0f}"),
    ("p50 ms", "p50", 1e3, "{:.2f}"),
    ("p99 ms", "p99", 1e3, "{:.2f}"),
    ("p99.9 ms", "p999", 1e3, "{:.2f}"),
    ("CPU µs/request", "cpu_micros", 1.0, "{:.1f}"),
    ("core", "busy", 100.0, "{:.0f} %"),
    ("RSS MiB", "rss_mib", 1.0, "{:.0f}"),
    ("ready s", "ready_seconds", 1.0, "{:.2f}"),
    ("copied", "copied", 100.0, "{:.0f} %"),
    ("compared", "compared", 100.0, "{:.0f} %"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one session. `when` is a date and time with its offset; `settings` is what was asked for."""

    when: str
    machine: Mapping[str, str]
    settings: Mapping[str, object]
    results: Sequence[Result]

    def json(self) -> bytes:
        """Every run and every figure made from them."""
        scenarios = [
            {
                "name": result.scenario.name,
                "title": result.scenario.title,
                "rows": result.rows,
                "findings": result.findings,
                "runs": result.runs,
            }
            for result in self.results
        ]
        whole = {"when": self.when, "machine": self.machine, "settings": self.settings, "scenarios": scenarios}
        return msgspec.json.format(msgspec.json.encode(whole))

    def markdown(self) -> str:
        """The tables, fit for a README."""
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        parts = [f"{self.when}; {machine}; {settings}."]
        for result in self.results:
            head = ["", *(title for title, *_ in _COLUMNS), "failures"]
            lines = [[row.label, *cells(row)] for row in result.rows]
            parts.append(f"### {result.scenario.title}\n\n{_markdown_table(head, lines)}")
            if result.findings:
                parts.append("\n".join(f"- {sentence(finding)}" for finding in result.findings))
        costs = cost_by_body(self.results)
        if costs:
            head = ["CPU µs a request", *(_size(body) for body in next(iter(costs.values())))]
            lines = [[label, *(f"{cost:.0f}" for cost in row.values())] for label, row in costs.items()]
            parts.append(f"### What a request costs, by its body\n\n{_markdown_table(head, lines)}")
        return "\n\n".join(parts) + "\n"

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bench.json").write_bytes(self.json())
        (folder / "bench.md").write_text(self.markdown())


def show(result: Result, console: Console) -> None:
    """One scenario's table, and what it was meant to show."""
    table = Table(title=result.scenario.title, title_justify="left")
    table.add_column("", no_wrap=True)
    for title, *_ in _COLUMNS:
        table.add_column(title, justify="right")
    table.add_column("failures", justify="right")
    for row in result.rows:
        table.add_row(row.label, *cells(row), style="red" if row.failures else None)
    console.print(table)
    for finding in result.findings:
        colour = {True: "green", False: "red", None: "dim"}[finding.met]
        console.print(f"  [{colour}]{sentence(finding)}[/]", highlight=False)


def cells(row: Row) -> list[str]:
    """The figures of a row as text; a run with failures or with disagreements, which there must not be, is marked."""
    texts = []
    for _, measure, scale, form in _COLUMNS:
        value = row.figures[measure]
        texts.append("" if value is None else form.format(value * scale))
    if row.disagreed:
        texts[-1] += f" ({row.disagreed} disagree!)"
    return [*texts, f"{row.failures:,}!" if row.failures else "0"]


def sentence(finding: Finding) -> str:
    verdict = {True: "met", False: "NOT MET", None: "for the record"}[finding.met]
    return (
        f"{finding.text}: {finding.value:.2f} ({finding.low:.2f} to {finding.high:.2f} over {finding.pairs}): {verdict}"
    )


def cost_by_body(results: Sequence[Result]) -> dict[str, dict[int, float]]:
    """CPU microseconds a request by contender and body, where every contender was measured with every body."""
    costs: dict[str, dict[int, float]] = {}
    for result in results:
        for row in result.rows if _is_of_bodies(result) else ():
            cost = row.figures["cpu_micros"]
            if cost is not None:
                costs.setdefault(row.label, {})[row.body] = cost
    sizes = {size for row in costs.values() for size in row}
    return {label: row for label, row in costs.items() if len(row) == len(sizes)} if len(sizes) > 1 else {}


def _is_of_bodies(result: Result) -> bool:
    return all(case.connections == 32 and case.models == 1 and not case.paced for case in result.scenario.cases)


def _size(body: int) -> str:
    return f"{body} B" if body < 1000 else f"{body // 1000} KB" if body < 1_000_000 else f"{body // 1_000_000} MB"


def _markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = [" --- ", *(" ---: " for _ in head[1:])]
    return "\n".join(
        "|" + "|".join(line) + "|"
        for line in ([f" {cell} " for cell in head], rule, *([f" {cell} " for cell in line] for line in lines))
    )
