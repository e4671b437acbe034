"""`python -m loadtests.bench`: run the scenarios, show each as it ends, write bench.json, bench.md and bench.png."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from rich.console import Console

from loadtests.bench import machine
from loadtests.bench.contenders import COMPILED, CONTENDERS
from loadtests.bench.processes import BenchError, Cores
from loadtests.bench.report import Report, show
from loadtests.bench.results import Result
from loadtests.bench.runs import WARM_UP_SECONDS, Bench, Run
from loadtests.bench.scenarios import SCENARIOS, Scenario

_OVERHEAD_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exits 0 when every run was made, whatever it showed; 3 when one could not be."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 170)
    scenarios = [SCENARIOS[name].limited_to(frozenset(options.contender)) for name in options.scenario]
    try:
        with _pinned() as cores, _terminable():
            report = _measure(scenarios, options, cores, console)
    except BenchError as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 3
    from loadtests.bench.chart import draw  # half a second, and nothing to do with the load

    report.write(options.output)
    draw(report.results, options.output / "bench.png", f"{report.when}, {report.machine['processor']}")
    console.print(f"Written: {options.output}/bench.json, bench.md, bench.png")
    return 0


def _measure(scenarios: Sequence[Scenario], options: argparse.Namespace, cores: Cores, console: Console) -> Report:
    tools = {CONTENDERS[name].tool for name in options.contender} - {""} | {"nginx", "wrk"}
    machine.require(tools | {"taskset", "setpriv"})
    if not (options.source or COMPILED.is_dir()):
        raise BenchError("Penstock is not compiled yet: make compile, or measure its source with --source")
    described = machine.describe(sorted(tools)) | {"penstock": "from source" if options.source else "compiled"}
    runs = sum(len(scenario.cases) for scenario in scenarios) * options.pairs
    minutes = runs * (options.seconds + WARM_UP_SECONDS + _OVERHEAD_SECONDS) / 60
    console.print(f"{runs} runs, about {minutes:.0f} minutes; the proxy on core {cores.proxy}, all else on the others")
    bench = Bench(cores, options.seconds, options.source)
    results = []
    for scenario in scenarios:
        results.append(Result(scenario, tuple(_runs(scenario, options.pairs, bench, console))))
        show(results[-1], console)
    when = datetime.now().astimezone().isoformat(timespec="minutes")
    return Report(when, described, {"pairs": options.pairs, "seconds": options.seconds}, results)


def _runs(scenario: Scenario, pairs: int, bench: Bench, console: Console) -> Iterator[Run]:
    """Every case once a round, each second round backwards, so that a machine that slows down favours nobody."""
    for number in range(pairs):
        for case in scenario.cases[:: -1 if number % 2 else 1]:
            with console.status(f"{scenario.name} {number + 1}/{pairs}: {case.label}"):
                run = bench.run(case)
            yield run


@contextmanager
def _pinned() -> Iterator[Cores]:
    """Keep this process, and so all that it starts and does not pin itself, off the proxy's core."""
    before = os.sched_getaffinity(0)
    cores = Cores.available()
    os.sched_setaffinity(0, cores.others)
    try:
        yield cores
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind, so that all that was started is stopped."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument(
        "--scenario",
        nargs="+",
        choices=SCENARIOS,
        default=list(SCENARIOS),
        metavar="NAME",
        help=f"which to run, of: {', '.join(SCENARIOS)} (all)",
    )
    parser.add_argument(
        "--contender",
        nargs="+",
        choices=CONTENDERS,
        default=list(CONTENDERS),
        metavar="NAME",
        help=f"which to run, of: {', '.join(CONTENDERS)} (all)",
    )
    parser.add_argument("--pairs", type=_positive, default=5, help="how often each case is run (%(default)s)")
    parser.add_argument("--seconds", type=_positive, default=4, help="how long each run loads (%(default)s)")
    parser.add_argument("--source", action="store_true", help="run Penstock from its source, and not compiled")
    parser.add_argument("--output", type=Path, default=Path("bench-results"), help="a folder (%(default)s)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
