"""What an open dashboard costs: CPU of the control plane and of the workers, and the browser's memory.

A whole `penstock serve` in front of two nginx, a rollout under way, a steady load, and one page that stays open for as
long as asked, between two stretches without it; more turns take more such pages. Each is compared with the mean of the
stretches before and after it, so that a machine that slowly drifts hits both alike. `make dashboard-bench` takes ten
minutes; an hour is `make dashboard-bench DASHBOARD_ARGS="--seconds 3600 --alone 300 --turns 1"`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import numpy as np
import typer

from loadtests.bench import bodies, upstreams
from loadtests.devtools import Chromium
from tests.browser import program
from tests.endtoend.penstock import MODEL, Penstock, configuration

TICKS = 100.0
"""Of a second, in /proc/PID/stat."""
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
MEBIBYTE = 2**20
LOOK_EVERY = 10.0
SETTLE = 5.0
TELL_EVERY = 300.0
FULL_AFTER = 720.0
"""Seconds until a page has all the points that it draws at once: the last ten minutes, and some to settle."""


Costs = dict[str, float]
"""Shares of a core, by who spent them."""


class Look(NamedTuple):
    """The browser at one moment with the page open."""

    at: float
    """Seconds since the page was opened."""
    heap: float
    """MiB of its scripts' that are in use once the rest is collected."""
    resident: float
    """MiB of the process that draws it."""
    elements: int
    listeners: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time with the page open, or, without any look, one without it."""

    costs: Costs
    looks: tuple[Look, ...] = ()


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


class Scales:
    """Weighs a stretch of time: what the processes spent in it and, with the page open, what the browser held."""

    def __init__(self, penstock: Penstock, browser: Chromium) -> None:
        self._browser = browser
        browser.tell_page("Performance.enable")
        self._address = f"{penstock.control_url}/#{MODEL}"
        self._pids = {"control plane": penstock.children("gates"), "workers": penstock.children("proxy")}

    def alone(self, seconds: float) -> Stretch:
        self._browser.tell_page("Page.navigate", url="about:blank")
        return self._weigh(seconds, lambda at: ())

    def watched(self, seconds: float) -> Stretch:
        self._browser.tell_page("Page.navigate", url=self._address)
        return self._weigh(seconds, lambda at: (_told(self._look(at)),))

    def _weigh(self, seconds: float, look: Callable[[float], tuple[Look, ...]]) -> Stretch:
        time.sleep(SETTLE)
        began, before, looks = time.monotonic(), self._spent(), list[Look]()
        while (passed := time.monotonic() - began) < seconds:
            time.sleep(min(seconds - passed, LOOK_EVERY))
            looks += look(time.monotonic() - began)
        passed, after = time.monotonic() - began, self._spent()
        return Stretch({name: (after[name] - before[name]) / passed for name in after}, tuple(looks))

    def _spent(self) -> Costs:
        return {name: sum(map(cpu_seconds, pids)) for name, pids in self._pids.items()}

    def _look(self, at: float) -> Look:
        self._browser.tell_page("HeapProfiler.collectGarbage")
        heap = float(self._browser.tell_page("Runtime.getHeapUsage")["usedSize"]) / MEBIBYTE
        metrics = self._browser.tell_page("Performance.getMetrics")["metrics"]
        counted = {each["name"]: int(each["value"]) for each in metrics}
        return Look(at, heap, resident(self._renderer()), counted["Nodes"], counted["JSEventListeners"])

    def _renderer(self) -> int:
        """The process that draws the page; it may be another after each address."""
        processes = self._browser.ask("SystemInfo.getProcessInfo")["processInfo"]
        return max((int(each["id"]) for each in processes if each["type"] == "renderer"), key=resident)


def _told(look: Look) -> Look:
    """An hour is long: what was seen is printed at times."""
    if look.at % TELL_EVERY < (look.at - LOOK_EVERY) % TELL_EVERY:
        print(f"{look.at / 60:.0f} min: heap {look.heap:.1f} MiB, process {look.resident:.0f} MiB", flush=True)
    return look


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> float:
    """MiB of memory, what is shared with others apart."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * PAGE_SIZE / MEBIBYTE


def report(alone: Sequence[Stretch], watched: Sequence[Stretch]) -> Iterator[str]:
    """`alone` has one more: one before each turn with a page, and one after the last."""
    around = [
        {name: statistics.mean((before.costs[name], after.costs[name])) for name in before.costs}
        for before, after in pairwise(alone)
    ]
    for name in alone[0].costs:
        differences = [turn.costs[name] - without[name] for turn, without in zip(watched, around, strict=True)]
        yield (
            f"{name}: {statistics.mean(turn.costs[name] for turn in alone):.2%} of a core alone "
            f"({', '.join(f'{turn.costs[name]:.2%}' for turn in alone)}), "
            f"{statistics.mean(turn.costs[name] for turn in watched):.2%} with a page open: "
            f"{statistics.mean(differences):+.2%} ({', '.join(f'{each:+.2%}' for each in differences)})"
        )
    for turn in watched:
        yield from memory(turn.looks)


def memory(looks: Sequence[Look]) -> Iterator[str]:
    """What one page held at first, in between and at last, and how fast that grew once it was full."""
    full = [look for look in looks if look.at >= FULL_AFTER]
    shown = [looks[round(part * (len(looks) - 1))] for part in (0, 0.25, 0.5, 0.75, 1)]
    for what in ("heap", "resident", "elements", "listeners"):
        values = ", ".join(f"{getattr(look, what):.0f} at {look.at / 60:.0f} min" for look in shown)
        growth = f"{slope(full, what):+.1f} an hour" if len(full) > 2 else "too short to tell a growth"
        yield f"browser's {what}: {values}; most {max(getattr(look, what) for look in looks):.0f}; {growth}"


def slope(looks: Sequence[Look], what: str) -> float:
    return float(np.polyfit([look.at for look in looks], [getattr(look, what) for look in looks], 1)[0] * 3600)


def main(
    seconds: Annotated[float, typer.Option(min=10, metavar="N", help="Each turn with a page open.")] = 100,
    alone: Annotated[float, typer.Option(min=10, metavar="N", help="Each stretch before, between and after.")] = 70,
    rate: Annotated[float, typer.Option(min=1, metavar="N", help="Requests a second.")] = 1000,
    turns: Annotated[int, typer.Option(min=1, metavar="N", help="Turns with a page.")] = 3,
) -> int:
    """Measure what a dashboard that is open adds to the control plane and to the workers."""
    path = program()
    if path is None:
        print("it needs Chromium (Debian, Ubuntu: apt-get install chromium)", file=sys.stderr)
        return 4
    lasting = turns * seconds + (turns + 1) * alone + (2 * turns + 1) * (SETTLE + 3)
    with TemporaryDirectory() as name, scene(Path(name)) as penstock, Chromium(path) as browser:
        scales = Scales(penstock, browser)
        with load(Path(name), penstock.port, rate, lasting):
            without, watched = [scales.alone(alone)], list[Stretch]()
            for turn in range(turns):
                watched.append(scales.watched(seconds))
                without.append(scales.alone(alone))
                print(f"turn {turn + 1} of {turns} done; load average {os.getloadavg()[0]:.1f}", flush=True)
            print("\n".join(report(without, watched)), flush=True)
    return 0


if __name__ == "__main__":
    typer.run(main)
