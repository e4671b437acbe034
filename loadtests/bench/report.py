"""What is read afterwards: a table on the terminal, the same in Markdown, and everything in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from loadtests.bench.results import MEASURES, Finding, Result, Row
from loadtests.bench.scenarios import KB, MB


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
            head = ["", *(measure.title for measure in MEASURES.values())]
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
    for measure in MEASURES.values():
        table.add_column(measure.title, justify="right")
    for row in result.rows:
        table.add_row(row.label, *cells(row), style="red" if row.figures["failures"] else None)
    console.print(table)
    for finding in result.findings:
        colour = {True: "green", False: "red", None: "dim"}[finding.met]
        console.print(f"  [{colour}]{sentence(finding)}[/]", highlight=False)


def cells(row: Row) -> list[str]:
    """The figures of a row as text; failures, and disagreements that there must not be, are marked."""
    texts = {name: measure.write(row.figures[name]) for name, measure in MEASURES.items()}
    texts["failures"] += "!" if row.figures["failures"] else ""
    texts["compared"] += f" ({row.disagreed} disagree!)" if row.disagreed else ""
    return list(texts.values())


def sentence(finding: Finding) -> str:
    verdict = {True: "met", False: "NOT MET", None: "for the record"}[finding.met]
    figures = f"{finding.value:.2f} ({finding.low:.2f} to {finding.high:.2f} over {finding.values})"
    return f"{finding.text} → {figures}, {verdict}"


def cost_by_body(results: Sequence[Result]) -> dict[str, dict[int, float]]:
    """CPU microseconds a request by contender and body, where every contender was measured with every body."""
    costs: dict[str, dict[int, float]] = {}
    for result in results:
        for row in result.rows if _is_of_bodies(result) else ():
            cost = row.figures["cpu"]
            if cost is not None:
                costs.setdefault(row.label, {})[row.body] = cost
    sizes = {size for row in costs.values() for size in row}
    return {label: row for label, row in costs.items() if len(row) == len(sizes)} if len(sizes) > 1 else {}


def _is_of_bodies(result: Result) -> bool:
    return all(case.connections == 32 and case.models == 1 and not case.pace for case in result.scenario.cases)


def _size(body: int) -> str:
    return f"{body} B" if body < KB else f"{body // KB} KB" if body < MB else f"{body // MB} MB"


def _markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))
