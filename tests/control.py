"""A control plane to talk to in tests: settings, a controller over fakes, and workers that only count."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ParamSpec, Self

from gates.adapters import folderwatch
from gates.alerting import Alerting
from gates.api.guard import Guard, Sessions
from gates.authentication import Authenticator
from gates.controller.controller import Controller
from gates.decision import Command
from gates.gate import Budget, Gate
from gates.phases import Event
from gates.plan import Plan, Stage
from gates.ports import MetricSource, OutcomeStore, Versions
from gates.reload import Reloader
from gates.rollout import Terms
from gates.settings import Address, ModelSettings, Settings
from gates.status import RolloutStatus
from proxy import snapshot as snapshots
from proxy.comparison import Comparison
from proxy.push import Push, Sample, decode_push, encode_push
from proxy.snapshot import AgreementSpec, ModelRoute, Origin, Phase, ShadowPolicy, Snapshot, Sticky
from proxy.window import Window
from tests.fakes import FakeAlertLog, FakeClock, FakeNotifier, FakeRegistry, MemoryStore
from tests.wire import PATIENCE

P = ParamSpec("P")

MODEL = "fraud_detector"
PLAN = Plan(
    shadow=Stage(0, min_duration=10, min_requests=100),
    steps=(Stage(500, 10, 100), Stage(5_000, 10, 100), Stage(10_000, 10, 100)),
    bake=Stage(10_000, min_duration=20, min_requests=100),
)
GATES = (
    Gate("errors", "error_rate", 0.05),
    Gate("agreement", "agreement", 0.9),
    Gate("p99", "latency", 0.2, severity="advisory"),
)
TERMS = Terms(PLAN, GATES, Budget())


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what a thread, a file system or another task does; fails after a bound that only a hang reaches."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - none of them tells when
            await asyncio.sleep(0.005)


def model_settings(name: str = MODEL, **changes: Any) -> ModelSettings:
    versions = {version: (Origin("127.0.0.1", 5000 + int(version)),) for version in ("40", "41", "42", "43")}
    return replace(
        ModelSettings(
            name=name,
            path_prefix=f"/{name}",
            servers=versions,
            champion="40",
            candidate="42",
            sticky=Sticky(),
            timeout=2.0,
            max_body=1 << 20,
            buffer=1 << 20,
            shadow=ShadowPolicy(),
            agreement=AgreementSpec(),
            plan=PLAN,
            gates=GATES,
            budget=Budget(),
        ),
        **changes,
    )


def settings_of(*models: ModelSettings) -> Settings:
    nowhere = Address("127.0.0.1", 1)
    return Settings(
        nowhere, nowhere, "sqlite:///nowhere.db", None, models or (model_settings(),), Path("penstock.yaml")
    )


class Desk:
    """One controller and what stands around it, started by `async with`; `next` is the one that follows it over the
    same store."""

    def __init__(
        self,
        *models: ModelSettings,
        store: MemoryStore | None = None,
        clock: FakeClock | None = None,
        registry: FakeRegistry | None = None,
        settings: Settings | None = None,
        reachable: bool = False,
        outcomes: OutcomeStore | None = None,
        versions: Versions | None = None,
        metrics: Callable[[str], MetricSource] | None = None,
    ) -> None:
        self.settings = settings or settings_of(*models)
        self.store = store or MemoryStore()
        self.clock = clock or FakeClock()
        self.registry = registry
        names = count(len(self.store.rollouts) + 1)
        self.controller = Controller(
            self.settings, self.store, self.clock, lambda: f"r{next(names)}", registry, outcomes, versions, metrics
        )
        self.authenticator = Authenticator(self.settings.access, {}, self.clock, reachable)
        self.notifier = FakeNotifier()
        self.alerting = Alerting(self.settings.alerts, lambda asked: self.notifier, self.clock, FakeAlertLog())
        self.controller.on_record(self.alerting.on_record)
        followers = (self.authenticator, self.alerting)
        self.reloader = Reloader(self.controller, self.settings, self.clock, folderwatch.changes, followers)
        ids = count(1)
        self.guard = Guard(self.authenticator, Sessions(self.clock.wall, lambda: f"s{next(ids)}"))

    async def __aenter__(self) -> Self:
        await self.controller.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.store.broken = ""
        self.store.gate.set()
        await self.controller.stop()

    def next(self, *models: ModelSettings) -> Desk:
        return Desk(*(models or self.settings.models), store=self.store, clock=self.clock, registry=self.registry)

    @property
    def route(self) -> ModelRoute:
        return self.controller.snapshot.by_model[MODEL]

    @property
    def rollout(self) -> RolloutStatus:
        rollout = self.controller.queries.model_status(MODEL).rollout
        assert rollout is not None
        return rollout

    @property
    def phase(self) -> Phase:
        return self.route.phase

    def worker(self, name: str = "w1") -> Worker:
        return Worker(self.controller, name)

    async def wait(self, seconds: float, *workers: Worker) -> None:
        """Time goes by in ticks of a second, with signs of life from the workers, whose polls come back at once."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            for worker in workers:
                await worker.poll()
                worker.push()
            await self.controller.tick()

    async def command(self, event: Event, by: str = "ada", reason: str = "") -> None:
        await self.controller.command(MODEL, Command(event, by, reason))

    async def pass_stage(self, worker: Worker, requests: int = 500) -> None:
        """Lawful traffic and time enough for the present stage, up to the decision."""
        await worker.poll()
        await self.wait(1, worker)
        worker.traffic(requests)
        here = self.route
        for _ in range(100):
            await self.wait(1, worker)
            if self.route != here:
                return
        raise AssertionError(f"the stage is not passed: {self.rollout.waiting_for}")

    async def climb_to(self, phase: Phase, ramp_bp: int, worker: Worker) -> None:
        while (self.route.phase, self.route.ramp_bp) != (phase, ramp_bp):
            await self.pass_stage(worker)


class Worker:
    """A worker as the link shows it: it polls, counts by the epoch it routes by, and pushes what is cumulative."""

    def __init__(self, controller: Controller, name: str) -> None:
        self.controller = controller
        self.name = name
        self.snapshot = Snapshot(0, ())
        self.sequence = 0
        self.windows: dict[tuple[str, int], Window] = {}

    async def poll(self, timeout: float = 0.0) -> bool:
        """Poll until nothing new comes; whether anything did."""
        came = False
        while (raw := await self.controller.poll(self.name, self.snapshot.generation, timeout)) is not None:
            self.snapshot = snapshots.decode(raw)
            came = True
        return came

    def window(self, model: str = MODEL) -> Window:
        return self.windows.setdefault((model, self.snapshot.by_model[model].epoch), Window())

    def traffic(self, requests: int, failures: int = 0, differing: int = 0, model: str = MODEL) -> None:
        """Requests by the route that it has: in shadow the candidate gets copies, later it serves them all."""
        route, window = self.snapshot.by_model[model], self.window(model)
        mine = window.candidate if route.ramp_bp else window.candidate_shadow
        other = window.champion_shadow if route.ramp_bp else window.champion
        for number in range(requests):
            mine.observe(500 if number < failures else 200, 0.01)
            other.observe(200, 0.01, 0.005)
            window.shadow.offered += 1
            window.shadow.sent += 1
            window.agreement.observe(Comparison("number" if number < differing else "", rows=1))

    def push(self) -> None:
        """All windows, through the wire format."""
        self.sequence += 1
        samples = tuple(Sample(model, epoch, window) for (model, epoch), window in self.windows.items())
        self.controller.push(decode_push(encode_push(Push(self.name, self.sequence, samples))))
