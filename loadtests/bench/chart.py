"""The picture: throughput, latency and cost, of as much as was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # before pyplot: there may be no display

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from loadtests.bench.report import cost_by_body
from loadtests.bench.results import MEASURES, Result

_COLOURS = {"direct": "#9aa0a6", "nginx": "#5b9f6b", "envoy": "#b07cc6", "penstock": "#1f6fb2"}


def draw(results: Sequence[Result], file: Path, caption: str) -> None:
    """Write a PNG with one panel for each figure that there is."""
    panels = _panels(results)
    figure, grid = plt.subplots(len(panels), 1, figsize=(9, 3.2 * len(panels) + 0.6), squeeze=False)
    for axes, (title, paint) in zip(grid[:, 0], panels, strict=True):
        paint(axes)
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.01, 0.005, caption, fontsize=7, color="#666666")
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    figure.savefig(file, dpi=120)
    plt.close(figure)


def _panels(results: Sequence[Result]) -> list[tuple[str, Callable[[Axes], None]]]:
    panels: list[tuple[str, Callable[[Axes], None]]] = []
    for result in results:
        measure = "p99" if _is_paced(result) else "rate"
        title = f"{result.scenario.title}: {MEASURES[measure].title}"
        panels.append((title, partial(_bars, result=result, measure=measure)))
    if cost_by_body(results):
        panels.append(("What a request costs, by its body: CPU µs", partial(_cost_lines, results=results)))
    return panels


def _bars(axes: Axes, result: Result, measure: str) -> None:
    """Medians, with a line from the lowest to the highest run."""
    rows = list(reversed(result.rows))
    for position, row in enumerate(rows):
        values = [MEASURES[measure].of(run) or 0.0 for run in result.runs if run.case.label == row.label]
        median = row.figures[measure] or 0.0
        axes.barh(position, median, color=_colour(row.label), height=0.7)
        axes.plot([min(values), max(values)], [position, position], color="black", linewidth=1)
        axes.text(max(values), position, f" {MEASURES[measure].write(median)}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=8)
    axes.margins(x=0.1)
    if _is_paced(result):
        axes.set_xscale("log")  # from a stall of seconds down to what nobody notices


def _is_paced(result: Result) -> bool:
    return all(run.case.pace for run in result.runs)


def _cost_lines(axes: Axes, results: Sequence[Result]) -> None:
    for label, costs in cost_by_body(results).items():
        style = "--" if "equal" in label else "-" if "+" in label else ":"
        sizes = sorted(costs)
        axes.loglog(sizes, [costs[size] for size in sizes], style, marker="o", color=_colour(label), label=label)
    axes.set_xlabel("bytes each way")
    axes.legend(fontsize=8)


def _colour(label: str) -> str:
    return _COLOURS[label.partition("+")[0].partition(",")[0]]
