"""One run of one case, from nothing to nothing: upstreams, proxy, warm-up, load, figures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtests.bench import bodies, measure
from loadtests.bench.contenders import CONTENDERS, Proxy, Site
from loadtests.bench.load import Load, flood, pace
from loadtests.bench.processes import Cores, Request, free_port, wait_for_answer
from loadtests.bench.scenarios import Case
from loadtests.bench.upstreams import ailing, requests_seen, serving
from proxy.window import Window

# Long enough for Penstock's look at a champion without copies to be over, too.
WARM_UP_SECONDS = 3
# Long enough for the copies under way to end, and for a worker's next push.
_SETTLE_SECONDS = 0.6


@dataclass(frozen=True, slots=True)
class Run:
    """What one run showed. CPU and memory are the proxy's alone, None where there is no proxy.

    `copied` is the share of requests that the candidate got to see, counted by the candidate; `compared` the share of
    copies that the proxy compared, counted by the proxy; both None where nobody counts."""

    case: Case
    load: Load
    ready_seconds: float
    cpu: measure.Cpu | None
    rss_peak: int | None
    copied: float | None
    compared: float | None
    disagreed: int | None

    @property
    def cpu_micros(self) -> float | None:
        """CPU microseconds a request, in user and system mode together."""
        return self.cpu.total * 1e6 / max(self.load.requests, 1) if self.cpu else None

    @property
    def busy(self) -> float | None:
        """The share of its core that the proxy used: well under 1 at full load, something else was the limit."""
        return self.cpu.total / self.load.seconds if self.cpu else None


class Bench:
    """Makes runs of `seconds` each, of Penstock compiled or from `source`. Remembers what each contender took at most,
    for the loads that are half of it."""

    def __init__(self, cores: Cores, seconds: int, source: bool = False) -> None:
        self._cores = cores
        self._source = source
        self._seconds = seconds
        self._capacities: dict[Case, float] = {}

    def run(self, case: Case) -> Run:
        """Raises BenchError where the run cannot be made."""
        rate = self._capacity(case) * case.pace if case.pace else None
        with TemporaryDirectory(prefix="penstock-bench-") as folder, self._staged(case, Path(folder)) as stage:
            return stage.run(rate, self._seconds)

    def _capacity(self, case: Case) -> float:
        """Requests a second of the same case at full load, with a healthy candidate."""
        contender = case.at_the_pace_of or case.contender
        full = replace(case, contender=contender, candidate="healthy", pace=None, at_the_pace_of="")
        if full not in self._capacities:
            self._capacities[full] = self.run(full).load.requests_per_second
        return self._capacities[full]

    @contextmanager
    def _staged(self, case: Case, folder: Path) -> Iterator[_Stage]:
        body, answer = folder / "request.json", folder / "answer.json"
        body.write_bytes(bodies.request(case.body))
        answer.write_bytes(bodies.answer(case.body))
        theirs = bodies.answer(case.body, case.answers)
        healthy = case.candidate == "healthy"
        home = folder / "candidate"
        with (
            serving(folder / "champion", answer.read_bytes()) as champion,
            serving(home, theirs) if healthy else ailing(home, case.candidate, theirs) as candidate,
        ):
            (folder / "proxy").mkdir()
            site = Site(
                folder / "proxy", free_port(), champion, candidate, self._cores.proxy, case.models, self._source
            )
            yield _Stage(case, site, body, answer)


@dataclass(frozen=True, slots=True)
class _Stage:
    """The upstreams of one run, up and answering; the proxy is still to come."""

    case: Case
    site: Site
    body: Path
    answer: Path

    def run(self, rate: float | None, seconds: int) -> Run:
        start = time.perf_counter()
        with CONTENDERS[self.case.contender].started(self.site) as proxy:
            request = Request("POST", "/m0/invocations", self.body.read_bytes())
            wait_for_answer(proxy.port, request, self.answer.read_bytes(), proxy.process)
            ready = time.perf_counter() - start
            self._load(proxy, rate, WARM_UP_SECONDS)
            copies, before = self._copies(), _cpu(proxy)
            load = self._load(proxy, rate, seconds)
            after, peak = _cpu(proxy), measure.peak_rss(proxy.process.pid) if proxy.process else None
            time.sleep(_SETTLE_SECONDS)
            cpu = after - before if after and before else None
            copied = self._copies() - copies - 1 if self._counts_copies else None
            share = None if copied is None else copied / max(load.requests, 1)
            return Run(self.case, load, ready, cpu, peak, share, *_compared(proxy.window()))

    def _load(self, proxy: Proxy, rate: float | None, seconds: int) -> Load:
        if rate is not None:
            return pace(proxy.port, rate, seconds, self.body, self.answer)
        return flood(proxy.port, self.case.connections, seconds, self.body, self.case.models)

    @property
    def _counts_copies(self) -> bool:
        return self.case.candidate == "healthy" and CONTENDERS[self.case.contender].mirrors

    def _copies(self) -> int:
        """What the candidate has seen so far, this question included; 0 where it does not count."""
        return requests_seen(self.site.candidate) if self._counts_copies else 0


def _cpu(proxy: Proxy) -> measure.Cpu | None:
    if proxy.process is None:
        return None
    proxy.process.check()
    return measure.cpu(proxy.process.pid)


def _compared(window: Window | None) -> tuple[float | None, int | None]:
    """The share of copies that were compared, and how many answers were found to differ."""
    if window is None or not window.shadow.sent:
        return None, None
    return window.agreement.compared / window.shadow.sent, window.agreement.disagreed
