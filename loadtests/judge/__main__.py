"""`python -m loadtests.judge`: run the benchmark of judgement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from loadtests.judge import ours
from loadtests.judge.report import show, write
from loadtests.judge.results import OURS, Figures, measure
from loadtests.judge.rivals import RIVALS
from loadtests.judge.traffic import SCENARIOS, simulate

ROLLOUTS = 500
SEED = 20260401
FOLDER = Path("loadtests/results")
TABLE_WIDTH = 120


def run(
    rollouts: Annotated[int, typer.Option(min=1, help="Simulated rollouts of each scenario.")] = ROLLOUTS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = SEED,
    out: Annotated[Path, typer.Option(help="Folder for judge.json, judge.md and judge.png.")] = FOLDER,
) -> None:
    """Judge simulated releases by Penstock's gates and by the rules of Flagger, Argo Rollouts and Kayenta."""
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)
    figures: list[Figures] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=len(SCENARIOS))
        for number, scenario in enumerate(SCENARIOS):
            progress.update(task, description=scenario.name)
            traffic = simulate(scenario, rollouts, np.random.default_rng([seed, number]))
            figures.append(measure(OURS, traffic, ours.judge(traffic)))
            for place, rule in enumerate(RIVALS):
                verdicts = rule.judge(traffic, np.random.default_rng([seed, number, place]))
                figures.append(measure(rule.name, traffic, verdicts))
            progress.advance(task)
    show(figures, console)
    for path in write(figures, out):
        console.print(f"Wrote {path}")


if __name__ == "__main__":
    typer.run(run)
