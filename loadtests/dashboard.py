"""What an open dashboard costs: CPU of the control plane and of the workers, and the browser's memory.

A whole `penstock serve` in front of two nginx, a rollout under way, a steady load, and a page that is opened and
closed in turns, so that a drift of the machine hits both alike. `make dashboard-bench` takes ten minutes. Of an hour
it can say this: CPU does not grow with time, as what is drawn and sent is of one size from the tenth minute on; of the
browser's memory the slope is told."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from playwright.sync_api import CDPSession, Page

from loadtests.bench import bodies, upstreams
from tests.browser import chromium, program
from tests.endtoend.penstock import MODEL, Penstock, configuration

TICKS = 100.0
"""Of a second, in /proc/PID/stat."""
LOOK_EVERY = 10.0
SETTLE = 5.0

Costs = dict[bool, list[dict[str, float]]]
"""Of each turn, without a page (False) and with one (True): shares of a core, by who spent them."""
Heaps = list[list[tuple[float, float]]]
"""Of each turn with a page: (seconds, MiB)."""


@contextmanager
def scene(folder: Path) -> Iterator[Penstock]:
    """A rollout in shadow, for as long as it takes; a tenth of the requests is copied."""
    with (
        upstreams.serving(folder / "40", bodies.answer(bodies.SMALL)) as champion,
        upstreams.serving(folder / "42", bodies.answer(bodies.SMALL, "close")) as candidate,
    ):
        settings = configuration(
            folder / "penstock.db",
            {"40": f"http://127.0.0.1:{champion}", "42": f"http://127.0.0.1:{candidate}"},
            champion="40",
            candidate="42",
            plan={"shadow": {"min_duration": "24h"}, "steps": [{"percent": 100}]},
            shadow={"percent": 10},
        )
        with Penstock(folder, settings, workers=1) as penstock:
            yield penstock


@contextmanager
def load(folder: Path, port: int, rate: float, seconds: float) -> Iterator[None]:
    """So many requests a second, from a process of its own; it ends by itself, and what it saw is printed then."""
    body, answer = folder / "request.json", folder / "answer.json"
    body.write_bytes(bodies.request(bodies.SMALL))
    answer.write_bytes(bodies.answer(bodies.SMALL))
    command = [sys.executable, "-m", "loadtests.bench.paced", str(port), str(rate), str(int(seconds))]
    process = subprocess.Popen([*command, str(body), str(answer)], stdout=subprocess.PIPE, text=True)
    try:
        yield
        print(f"the load: {process.communicate(timeout=60)[0].strip()}")
    finally:
        process.kill()
        process.wait()


class Turns:
    """Turns alone and turns with a page, and what each of them cost."""

    def __init__(self, penstock: Penstock, page: Page) -> None:
        self._page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._address = f"{penstock.control_url}/#{MODEL}"
        self._pids = {"control plane": penstock.children("gates"), "workers": penstock.children("proxy")}
        self.costs: Costs = {False: [], True: []}
        self.heaps: Heaps = []

    def take(self, seconds: float, *, watching: bool) -> None:
        self._page.goto(self._address if watching else "about:blank")
        self._page.wait_for_timeout(1000 * SETTLE)
        began, before, heaps = time.monotonic(), self._spent(), []
        while (passed := time.monotonic() - began) < seconds:
            self._page.wait_for_timeout(1000 * min(seconds - passed, LOOK_EVERY))
            if watching:
                heaps.append((time.monotonic() - began, self._heap()))
        passed, after = time.monotonic() - began, self._spent()
        self.costs[watching].append({name: (after[name] - before[name]) / passed for name in after})
        if watching:
            self.heaps.append(heaps)

    def _spent(self) -> dict[str, float]:
        return {name: sum(map(cpu_seconds, pids)) for name, pids in self._pids.items()}

    def _heap(self) -> float:
        """MiB that are in use once the rest is collected."""
        self._session.send("HeapProfiler.collectGarbage")
        return float(self._session.send("Runtime.getHeapUsage")["usedSize"]) / 2**20


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def report(costs: Costs, heaps: Heaps) -> Iterator[str]:
    for name in costs[True][0]:
        alone, watched = ([turn[name] for turn in costs[watching]] for watching in (False, True))
        differences = [w - a for a, w in zip(alone, watched, strict=True)]
        each = ", ".join(f"{difference:+.2%}" for difference in differences)
        yield (
            f"{name}: {statistics.mean(alone):.2%} of a core alone, {statistics.mean(watched):.2%} with a page open: "
            f"{statistics.mean(differences):+.2%} (turn by turn {each})"
        )
    for looks in heaps:
        at, mib = np.array(looks).T
        slope = np.polyfit(at, mib, 1)[0] * 3600 if len(looks) > 2 else float("nan")
        yield f"browser's heap: {mib[0]:.1f} MiB at first, {mib[-1]:.1f} at last, {slope:+.1f} MiB an hour"


def main(
    seconds: Annotated[float, typer.Option(min=10, metavar="N", help="In all; half of them with a page open.")] = 600,
    rate: Annotated[float, typer.Option(min=1, metavar="N", help="Requests a second.")] = 1000,
    turns: Annotated[int, typer.Option(min=1, metavar="N", help="Turns alone, and as many with a page.")] = 3,
) -> int:
    """Measure what a dashboard that is open adds to the control plane and to the workers."""
    path = program()
    if path is None:
        print("it needs Chromium (Debian, Ubuntu: apt-get install chromium)", file=sys.stderr)
        return 4
    each = seconds / turns / 2
    with TemporaryDirectory() as name, scene(Path(name)) as penstock, chromium(path) as browser:
        taken = Turns(penstock, browser.new_page())
        with load(Path(name), penstock.port, rate, (each + SETTLE + 3) * turns * 2):
            for turn in range(turns):
                for watching in (False, True):
                    taken.take(each, watching=watching)
                print(f"turn {turn + 1} of {turns} done", flush=True)
            print("\n".join(report(taken.costs, taken.heaps)))
    return 0


if __name__ == "__main__":
    typer.run(main)
