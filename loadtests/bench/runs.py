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
from loadtests.bench.processes import Cores, free_port, wait_for_answer
from loadtests.bench.scenarios import Case
from loadtests.bench.upstreams import ailing, requests_seen, serving
from proxy.window import Window

WARM_UP_SECONDS = 1
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
    def requests_per_second(self) -> float:
        return self.load.requests_per_second

    @property
    def p50(self) -> float:
        return self.load.p50

    @property
    def p99(self) -> float:
        return self.load.p99

    @property
    def p999(self) -> float:
        return self.load.p999

    @property
    def failures(self) -> int:
        return self.load.failures

    @property
    def cpu_micros(self) -> float | None:
        """CPU microseconds a request, in user and system mode together."""
        return self.cpu.total * 1e6 / max(self.load.requests, 1) if self.cpu else None

    @property
    def busy(self) -> float | None:
        """The share of its core that the proxy used: well under 1 at full load, something else was the limit."""
        return self.cpu.total / self.load.seconds if self.cpu else None

    @property
    def rss_mib(self) -> float | None:
        return self.rss_peak / 2**20 if self.rss_peak else None


class Bench:
    """Makes runs of `seconds` each. Remembers what each contender took at most, for the loads that are half of it."""

    def __init__(self, cores: Cores, seconds: int) -> None:
        self._cores = cores
        self._seconds = seconds
        self._capacities: dict[Case, float] = {}

    def run(self, case: Case) -> Run:
        """Raises BenchError where the run cannot be made."""
        rate = self._capacity(case) / 2 if case.paced else None
        with TemporaryDirectory(prefix="penstock-bench-") as folder, _staged(case, Path(folder), self._cores) as stage:
            return stage.run(rate, self._seconds)

    def _capacity(self, case: Case) -> float:
        """Requests a second of the same case at full load, with a healthy candidate."""
        full = replace(case, candidate="healthy", paced=False)
        if full not in self._capacities:
            self._capacities[full] = self.run(full).requests_per_second
        return self._capacities[full]


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
            body, answer = self.body.read_bytes(), self.answer.read_bytes()
            wait_for_answer(proxy.port, "POST", "/m0/invocations", body, answer, self.site.log)
            ready = time.perf_counter() - start
            self._load(proxy, rate, WARM_UP_SECONDS)
            counted = self._copies()
            cpu = measure.cpu(proxy.pid) if proxy.pid else None
            load = self._load(proxy, rate, seconds)
            spent = measure.cpu(proxy.pid) - cpu if proxy.pid and cpu else None
            peak = measure.peak_rss(proxy.pid) if proxy.pid else None
            time.sleep(_SETTLE_SECONDS)
            copied = None if counted is None else (self._copies() or 0) - counted - 1
            return Run(
                self.case,
                load,
                ready,
                spent,
                peak,
                None if copied is None else copied / max(load.requests, 1),
                *_compared(proxy.window()),
            )

    def _load(self, proxy: Proxy, rate: float | None, seconds: int) -> Load:
        if rate is not None:
            return pace(proxy.port, rate, seconds, self.body, self.answer)
        return flood(proxy.port, self.case.connections, seconds, self.body, self.case.models)

    def _copies(self) -> int | None:
        """What the candidate has seen so far, this question included; None where it does not count."""
        if self.case.candidate != "healthy" or not CONTENDERS[self.case.contender].mirrors:
            return None
        return requests_seen(self.site.candidate)


@contextmanager
def _staged(case: Case, folder: Path, cores: Cores) -> Iterator[_Stage]:
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
        site = Site(folder / "proxy", free_port(), champion, candidate, cores.proxy, case.models)
        yield _Stage(case, site, body, answer)


def _compared(window: Window | None) -> tuple[float | None, int | None]:
    """The share of copies that were compared, and how many answers were found to differ."""
    if window is None or not window.shadow.sent:
        return None, None
    return window.agreement.compared / window.shadow.sent, window.agreement.disagreed
