"""What the gates promise, put to the test through the gates themselves: `python -m loadtests.evidence`.

Simulated windows, as workers would bring them, go look by look through `gates.checks`, the same code that a controller
runs; each promise is counted, and one that is broken ends the program with 1. Seeds are fixed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import binom

from gates.checks import GateWatch, evidence_to_fail
from gates.evidence import threshold
from gates.gate import Gate
from proxy.histogram import Histogram, index_of
from proxy.tally import LaneTally
from proxy.window import Window

ALPHA = 0.01
BOUND = 0.01
LOOK = 50
REQUESTS = 20_000
USERS = 500
ERRORS = Gate("errors", "error_rate", BOUND)
SLOW = Gate("slow", "latency", 0.3)
AGAINST = Gate("against", "error_rate", 1e-4, margin=0.0, against="champion")
"""With a limit that says nothing, so that the champion alone is the measure."""
BY_UNIT = Gate("by_unit", "error_rate", BOUND, per="unit")
Make = Callable[[np.random.Generator], Iterable[Window]]


@dataclass(frozen=True, slots=True)
class Promise:
    """What was measured, and the most that it may be."""

    name: str
    measured: float
    most: float

    @property
    def kept(self) -> bool:
        return self.measured <= self.most


def window(answers: int, failed: int, slow: int = 0, champion: int = 0, champion_failed: int = 0) -> Window:
    """Totals so far; failures are quick."""
    latency = Histogram({index_of(10_000): answers - slow, index_of(900_000): slow}, answers)
    return Window(
        candidate=LaneTally(answers, {}, {"status_5xx": failed}, latency),
        champion=LaneTally(champion, {}, {"status_5xx": champion_failed}),
    )


def first_alarm(gates: Iterable[Gate], totals: Iterable[Window], alpha: float) -> float:
    """The candidate's answers at the first look at which a gate has evidence enough to fail it; infinity for none."""
    watches = [(gate, GateWatch.fresh(gate)) for gate in gates]
    needed = threshold(alpha)
    for total in totals:
        watches = [(gate, watch.looked(gate, total)) for gate, watch in watches]
        if any(evidence_to_fail(gate, watch, total) >= needed for gate, watch in watches):
            return total.candidate.answers
    return math.inf


def twins(rng: np.random.Generator) -> Iterator[Window]:
    """A candidate at the very edge of what its gates allow, beside a champion that is no better."""
    errors, slow = (np.cumsum(rng.binomial(LOOK, BOUND, REQUESTS // LOOK)) for _ in range(2))
    champion = np.cumsum(rng.binomial(9 * LOOK, BOUND, REQUESTS // LOOK))
    for look, counts in enumerate(zip(errors, slow, champion, strict=True), 1):
        failed, late, theirs = map(int, counts)
        yield window(look * LOOK, failed, late, look * 9 * LOOK, theirs)


def sticky(rng: np.random.Generator, gate: Gate, workers: int = 1) -> Iterator[Window]:
    """The requests of 500 users in any order: nearly all errors are those of one user in a hundred. Each of the workers
    counts a user's first request by itself."""
    user = rng.integers(0, USERS, REQUESTS)
    failed = rng.random(REQUESTS) < rng.beta(0.02, 1.98, USERS)[user]
    first = np.zeros(REQUESTS, dtype=bool)
    seen = user * workers + rng.integers(0, workers, REQUESTS)
    first[np.unique(seen, return_index=True)[1]] = True
    for end in range(LOOK, REQUESTS + 1, LOOK):
        total = window(end, int(failed[:end].sum()))
        if gate.per == "unit":
            total.firsts = window(int(first[:end].sum()), int((failed & first)[:end].sum()))
        yield total


def faulty(rng: np.random.Generator, rate: float, good: int = 0) -> Iterator[Window]:
    """Looked at after each request, once the `good` ones at 0.5 %, looked at every 50, are over."""
    failed = 0
    for answers in range(LOOK, good + 1, LOOK):
        failed += int(rng.binomial(LOOK, 0.005))
        yield window(answers, failed)
    for answers in range(good + 1, good + 5_000):
        failed += int(rng.random() < rate)
        yield window(answers, failed)


def outage(rng: np.random.Generator) -> Iterator[Window]:
    """0.5 % errors in both arms, and 30 % in the middle for a while."""
    rates = np.full(REQUESTS // LOOK, 0.005)
    rates[100:160] = 0.3
    ours, theirs = np.cumsum(rng.binomial(LOOK, rates)), np.cumsum(rng.binomial(9 * LOOK, rates))
    for look, (failed, champion_failed) in enumerate(zip(ours, theirs, strict=True), 1):
        yield window(look * LOOK, int(failed), 0, look * 9 * LOOK, int(champion_failed))


def alarms(
    name: str,
    rollouts: int,
    gates: tuple[Gate, ...],
    alpha: float,
    make: Callable[[np.random.Generator], Iterable[Window]],
) -> NDArray[np.float64]:
    seed = sum(name.encode())
    runs = track(range(rollouts), description=f"{name:<32}", transient=True)
    return np.array([first_alarm(gates, make(np.random.default_rng([seed, run])), alpha) for run in runs])


def promises(rollouts: int) -> Iterator[Promise]:
    most = float(binom.ppf(0.99, rollouts, ALPHA)) / rollouts
    gates = (ERRORS, SLOW, AGAINST)
    false = np.isfinite(alarms("twins", rollouts, gates, ALPHA / len(gates), twins)).mean()
    yield Promise("twins rolled back, of all", float(false), most)
    for workers in (1, 4):
        found = alarms("sticky", rollouts, (BY_UNIT,), ALPHA, partial(sticky, gate=BY_UNIT, workers=workers))
        yield Promise(f"twins with sticky users, by unit, {workers} workers", float(np.isfinite(found).mean()), most)
    some = max(rollouts // 2 | 1, 3)
    for rate, bound in ((1.0, 3), (0.5, 6), (0.2, 16), (0.05, 150)):
        found = alarms(f"{rate:.0%} errors", some, (ERRORS,), ALPHA, partial(faulty, rate=rate))
        yield Promise(f"requests to find {rate:.0%} errors, median", float(np.median(found)), bound)
    fewer = max(rollouts // 7 | 1, 3)
    late = alarms("5 % after 20 000", fewer, (ERRORS,), ALPHA, partial(faulty, rate=0.05, good=REQUESTS))
    yield Promise("requests to find 5% after 20 000 good ones, median", float(np.median(late)) - REQUESTS, 350)
    common = alarms("outage of both", max(3 * rollouts // 20, 3), (AGAINST,), ALPHA, outage)
    yield Promise("outages of both arms rolled back", float(np.isfinite(common).sum()), 0)


def run(
    rollouts: Annotated[int, typer.Option(min=20, help="Simulated rollouts of twins; the others have fewer.")] = 2000,
    out: Annotated[Path, typer.Option(help="Folder for evidence.json.")] = Path("loadtests/results"),
) -> None:
    """Count how seldom the gates are wrong, and how soon they are right."""
    console = Console()
    table = Table("promise", "measured", "at most", "", title=f"{rollouts} rollouts through the gates")
    kept = []
    for promise in promises(rollouts):
        table.add_row(promise.name, f"{promise.measured:g}", f"{promise.most:g}", "✔" if promise.kept else "✘")
        kept.append(promise)
    console.print(table)
    out.mkdir(parents=True, exist_ok=True)
    (out / "evidence.json").write_text(json.dumps([asdict(each) for each in kept], indent=1) + "\n")
    raise typer.Exit(0 if all(promise.kept for promise in kept) else 1)


if __name__ == "__main__":
    typer.run(run)
