"""The controller: the control plane's one object, through which everything comes in and goes out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from gates.controller import reconcile
from gates.controller.aliases import Aliases
from gates.controller.casebook import Casebook
from gates.controller.daemonthread import DaemonThread
from gates.controller.history import History
from gates.controller.lease import Lease
from gates.controller.observer import Observer
from gates.controller.promotions import Promotions
from gates.controller.queries import Queries
from gates.controller.starts import Starts
from gates.controller.steering import Steering
from gates.decision import Command, Decision
from gates.exits import unknown
from gates.ports import Clock, MetricSource, OutcomeStore, Registry, RegistryError, Store, StoreError, Versions
from gates.settings import ModelSettings, Settings
from gates.state import AuditRow, Serving
from proxy.push import Push
from proxy.snapshot import Snapshot

logger = logging.getLogger("penstock.control")

TICK_EVERY = 0.2
TICK_APART = 0.05
KEEP_EVERY = 1.0
RESOLVE_EVERY = 5.0


class Deposed(Exception):
    """Another control plane has taken the lease to act."""


class UnknownModel(Exception):
    """The configuration names no such model."""

    def __init__(self, model: str, known: Iterable[str]) -> None:
        super().__init__(unknown("model", model, known))


class Controller:
    """Observes every model, decides by `gates.decision`, and hands out what follows: to workers, people, the registry.

    Nothing here blocks the event loop: store and registry are called in a thread each."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Clock,
        new_id: Callable[[], str],
        registry: Registry | None,
        outcomes: OutcomeStore | None = None,
        versions: Versions | None = None,
        metrics: Callable[[str], MetricSource] | None = None,
    ) -> None:
        """`new_id` names rollouts; a name must never be given twice. `versions` is what the registry knows of them,
        `metrics` gives the metrics server at a URL."""
        self.started = False
        self.released = False
        """Whether whoever waits for something here was let go, and is to ask no more."""
        self._settings = settings
        self._models = {model.name: model for model in settings.models}
        self._clock = clock
        self._aliases = Aliases(registry)
        self.history = History()
        self._nudged = asyncio.Event()
        self._unresolved = asyncio.Event()
        self._configuring = asyncio.Lock()
        self._steering = Steering(settings, store, clock, registry is not None)
        self.promotions = Promotions(
            self._steering,
            clock,
            outcomes,
            versions,
            self._model,
            self._aliases.version,
            lambda: self._settings,
            metrics,
        )
        self._starts = Starts(
            self._steering, self.promotions, self._aliases, new_id, self._model, lambda: self._settings
        )
        self.lease = Lease(self._steering)
        self._casebook = Casebook(self._steering.book, lambda: self._models)
        self.queries = Queries(self._steering, self._casebook, self._model, self._aliases, self._unresolved_aliases)

    # its life

    async def start(self) -> None:
        """Load the state, bring it in line with the settings, and begin the rollouts that these ask for, but for those
        whose gates have files to read: they begin once it runs.

        May be called again where it failed, and after a time of waiting. Raises StoreError and Unroutable."""
        async with self._configuring:
            await self._steering.load()
            await self.configure(self._settings)
            await self._casebook.load(self._steering.standing.rollouts.values())
            self.started = True

    async def adopt(self, settings: Settings) -> None:
        """Work by these settings from now on; a control plane that waits, once it acts.

        Raises StoreError and Unroutable, as `configure` does."""
        async with self._configuring:
            if self.started:
                await self.configure(settings)
            else:
                self._go_by(settings)

    def preview(self, settings: Settings) -> list[tuple[str, str, str]]:
        """What `adopt` would change: model, event, reason. Raises Unroutable."""
        return self._steering.preview(settings, self._aliases.known)

    async def configure(self, settings: Settings) -> None:
        """Work by these settings from now on: routes, and the terms of the rollouts that are under way, in one
        generation; then begin the rollouts that they ask for, those whose gates have files to read beside everything
        else.

        Where they cannot be taken up, all goes on by the settings before. Raises StoreError and Unroutable."""
        await self._steering.configure(settings, self._aliases.known)
        self._go_by(settings)
        await self._starts.begin_wanted(at_once=True)
        self._unresolved.set()

    def on_record(self, tell: Callable[[AuditRow], None]) -> None:
        """Have each audit row told as soon as what it tells of is in force; `tell` must not block, nor raise."""
        self._steering.book.on_record = tell

    async def run(self) -> None:
        """Tick, keep, and resolve what the settings leave to the registry, until another control plane acts."""
        try:
            async with asyncio.TaskGroup() as loops:
                loops.create_task(self._tick_on())
                loops.create_task(self._keep_on())
                loops.create_task(self._resolve_on())
                loops.create_task(self._lead_on())
                loops.create_task(self.history.run(lambda: self.observer, self._clock))
                loops.create_task(self.promotions.run())
        except* Deposed:
            logger.warning("%s acts on this store by now: this control plane steps back", self.lease.rival)

    async def stop(self) -> None:
        """Let the polls go, and keep what was seen last."""
        self.release()
        if self.started:
            await self.keep()
            with suppress(StoreError):
                await self._steering.book.resign()
        self._steering.book.close()
        self.promotions.close()
        self._aliases.close()

    def release(self) -> None:
        """Let the polls go that wait for a change: the process is about to end."""
        self.released = True
        self._steering.publication.close()

    # what comes in

    def push(self, push: Push) -> None:
        """A worker's windows; what they change is judged within a moment, and the pairs with them kept."""
        self._casebook.take(push.disagreements, self._steering.standing.rollouts, self._clock.wall())
        if self.observer.push(push):
            self._nudged.set()

    async def poll(self, worker: str, generation: int, timeout: float) -> bytes | None:
        """The encoded snapshot as soon as it is another than the worker's, None where `timeout` seconds pass."""
        workers, publication = self.observer.workers, self._steering.publication
        held = workers.polled(worker, generation, self._clock.monotonic())
        snapshot = await publication.beyond(held, timeout)
        if snapshot is None:
            return None
        workers.sent(worker, snapshot, self._clock.monotonic())
        return publication.raw

    async def command(self, model: str, command: Command) -> Decision:
        """What a person asks for, decided and done; a gate's rollback that is due comes before it.

        Raises UnknownModel, IllegalEvent, and StoreError where it cannot be stored; a rollback needs no store."""
        self._model(model)
        return await self._steering.command(model, command)

    async def revert(self, model: str, to: str, by: str, reason: str, served: bool = False) -> None:
        """Let another version serve at once: the "previous" one, the "fallback", or a version that has servers; where
        it has to have `served`, none but those two, and not while it is on trial.

        A rollout that is under way ends. Raises UnknownModel, NoSuchPast, Unserved, AlreadyChampion, Unroutable,
        RegistryError and StoreError."""
        self._model(model)
        await self._steering.revert(model, to, by, reason, served)

    def on_pins_moved(self, tell: Callable[[Iterable[Serving]], object]) -> None:
        """Call `tell` whenever another version serves a model; it must not block."""
        self._steering.pins_moved = tell

    async def start_rollout(self, model: str, candidate: str, by: str, reason: str, override: bool = False) -> Decision:
        """Begin a trial of `candidate`, a version or an alias, under the terms that are configured now.

        Raises UnknownModel, IllegalEvent while another one is carrying, AlreadyChampion, CoolingDown for a candidate
        that was rolled back just now and NoGo for one whose offline or staging gates say so (unless `override`, which
        then needs a reason), Unroutable for a version without servers, RegistryError and
        StoreError."""
        return await self._starts.begin(model, candidate, by, reason, override)

    # what goes on

    async def tick(self) -> None:
        """Observe every rollout, and decide what is to be decided."""
        await self._steering.tick()

    async def keep(self) -> None:
        """Keep what was seen; what was seen since the last time is all that the end of this process loses."""
        await self._steering.keep()
        await self._casebook.keep(self._clock.wall())

    async def resolve(self) -> bool:
        """Try every alias that the settings wait for, and every rollout that they name; whether nothing is left.

        Each alias is resolved once."""
        for model, alias in self._unresolved_aliases():
            try:
                await self._aliases.learn(model, alias)
                await self._steering.configure(self._settings, self._aliases.known)
            except (RegistryError, StoreError) as error:
                logger.warning("%s: %s is not resolved yet: %s", model, alias, error)
        begun = await self._starts.begin_wanted()
        return begun and not self._unresolved_aliases()

    # what can be asked

    @property
    def observer(self) -> Observer:
        return self._steering.observer

    @property
    def snapshot(self) -> Snapshot:
        """The routing truth in force."""
        return self._steering.standing.snapshot

    @property
    def registry_calls(self) -> DaemonThread:
        """The thread in which the registry is used."""
        return self._aliases.calls

    @property
    def store_calls(self) -> DaemonThread:
        """The thread in which the store is used."""
        return self._steering.book.calls

    @property
    def store_trouble(self) -> str:
        """What the store last failed at, "" while all is well."""
        return self._steering.book.trouble

    @property
    def errand_stored(self) -> asyncio.Event:
        """Set when there is something new to tell the registry."""
        return self._steering.errand_stored

    async def note(self, row: AuditRow) -> None:
        """Write down what changes nothing. Raises StoreError."""
        await self._steering.book.note(row)

    @property
    def model_names(self) -> tuple[str, ...]:
        return tuple(self._models)

    # how it is done

    async def _tick_on(self) -> None:
        """Every 0.2 s, and sooner where a push brought something new."""
        while True:
            await self.tick()
            await asyncio.sleep(TICK_APART)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nudged.wait(), TICK_EVERY - TICK_APART)
            self._nudged.clear()

    async def _keep_on(self) -> None:
        while True:
            await asyncio.sleep(KEEP_EVERY)
            await self.keep()

    async def _lead_on(self) -> None:
        await self.lease.hold()
        self.started = False
        raise Deposed

    async def _resolve_on(self) -> None:
        while True:
            await self._unresolved.wait()
            self._unresolved.clear()
            while not await self.resolve():  # noqa: ASYNC110 - nobody tells us when the registry is back
                await asyncio.sleep(RESOLVE_EVERY)

    def _go_by(self, settings: Settings) -> None:
        self._settings = settings
        self._models = {model.name: model for model in settings.models}

    def _unresolved_aliases(self) -> list[tuple[str, str]]:
        return reconcile.aliases(self._settings, self._steering.standing, self._aliases.known)

    def _model(self, model: str) -> ModelSettings:
        if model not in self._models:
            raise UnknownModel(model, self._models)
        return self._models[model]
