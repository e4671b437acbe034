"""Evaluate, decide, commit: one decision at a time, each carried out in memory, for the workers and in the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from gates.controller import reconcile
from gates.controller.book import Book
from gates.controller.observer import Observer
from gates.controller.publication import Publication
from gates.controller.record import Inputs, commit_of, decode_inputs
from gates.controller.revert import require_served, revert, target_of
from gates.controller.standing import Standing
from gates.controller.watch import Watch
from gates.decision import Command, Decision
from gates.durations import duration
from gates.outlook import warnings
from gates.phases import RETREATS, Event, IllegalEvent
from gates.ports import Clock, RegistryError, StaleGeneration, Store, StoreError
from gates.rollout import Rollout
from gates.settings import ModelSettings, Settings
from gates.state import Commit, Serving
from proxy.snapshot import Phase

logger = logging.getLogger("penstock.control")

T = TypeVar("T")

STORE_REST = 1.0
HISTORY = 1000


class AlreadyChampion(Exception):
    """The version to be tried is the one that serves."""


class CoolingDown(Exception):
    """The candidate was rolled back too short a while ago."""


class Steering:
    """A retreat takes effect in memory, and so for the workers, before it is stored; everything else is stored first,
    and waits while the store is gone.

    Where another controller has committed in between, all goes on from the store's truth."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, registered: bool) -> None:
        """`registered` tells whether there is a registry that has to be told; `errand_stored` is set when there is
        something to tell it."""
        self.book = Book(store)
        self.observer = Observer(clock)
        self.publication = Publication()
        self.errand_stored = asyncio.Event()
        self._settings = settings
        self._clock = clock
        self._registered = registered
        self._lock = asyncio.Lock()
        self._store_due = 0.0
        self._pinned: Mapping[str, Serving] = {}
        self.pins_moved: Callable[[Iterable[Serving]], object] = lambda servings: None
        """Called, and not waited for, whenever another version serves a model."""

    @property
    def standing(self) -> Standing:
        return self.book.standing

    async def load(self) -> None:
        """Take up the store's present; the workers are told when it is configured. Raises StoreError."""
        async with self._lock:
            self.observer.restore(await self.book.load())

    async def step_back(self) -> bool:
        """Another control plane acts: record the retreats that it cannot know of, then forget what was seen.

        Whether that is done; where the store was not there, or ahead, it has to be asked again."""
        async with self._lock:
            await self._with_store(self.book.settle)
            if self.book.owed:
                return False
            self.observer = Observer(self._clock)
            self.publication.release()
            return True

    async def configure(self, settings: Settings, versions: reconcile.Versions) -> None:
        """Work by these settings from now on, in one generation. Raises StoreError and Unroutable, and goes on by the
        settings before then."""
        await self._one_at_a_time(lambda: self._configure(settings, versions))

    async def tick(self) -> None:
        """Observe every rollout, and decide what is to be decided: retreats first."""
        async with self._lock:
            self.observer.observe()
            for inputs, decision in self._due():
                if decision.event in RETREATS:
                    await self._carry_out(decision, inputs)
            await self._with_store(self._advance)

    async def keep(self) -> None:
        """Keep what was seen, and learn whether another controller has committed."""
        samples, clocks = self.observer.unkept()
        try:
            generation = await self.book.keep(samples, clocks)
        except StoreError:
            self.observer.ledger.put_back(samples)
            return
        self.observer.kept(clocks)
        async with self._lock:
            if generation > self.standing.generation:
                await self._with_store(self._reload)

    async def command(self, model: str, command: Command) -> Decision:
        """Raises IllegalEvent, and StoreError where anything but a rollback cannot be stored."""
        return await self._one_at_a_time(lambda: self._obey(model, command))

    async def begin(
        self, model: ModelSettings, rollout: str, candidate: str, by: str, reason: str, override: bool
    ) -> Decision:
        """Begin a rollout of this id; `override` passes over the cool-down.

        Raises IllegalEvent, AlreadyChampion, CoolingDown, Unroutable, RegistryError and StoreError."""
        return await self._one_at_a_time(lambda: self._begin(model, rollout, candidate, by, reason, override))

    async def revert(self, model: str, to: str, by: str, reason: str, served: bool = False) -> None:
        """Let the version that `to` means serve, and end the rollout that is under way; where it has to have `served`,
        none but those that did before.

        Raises NoSuchPast, Unserved, AlreadyChampion, Unroutable, RegistryError and StoreError."""
        await self._one_at_a_time(lambda: self._revert(model, to, by, reason, served))

    def preview(self, settings: Settings, versions: reconcile.Versions) -> list[tuple[str, str, str]]:
        """What `configure` would change: model, event, reason. Raises Unroutable."""
        at = self._clock.wall()
        return reconcile.preview(settings, self.standing, versions, at, self._registered, self._seen)

    def _due(self) -> Iterator[tuple[Inputs, Decision]]:
        """What the plans and the gates ask for; each is decided when its turn comes, as the generation is then."""
        for watch in self.observer.carrying():
            inputs = self._inputs(watch, None)
            decision = inputs.decide()
            if decision is not None:
                yield inputs, decision

    async def _advance(self) -> None:
        await self.book.settle()
        for inputs, decision in self._due():
            await self._carry_out(decision, inputs)

    async def _obey(self, model: str, command: Command) -> Decision:
        self.observer.observe()
        watch = self.observer.watches.get(model)
        if watch is None:
            raise IllegalEvent(Phase.IDLE, command.event)
        return await self._decided(self._inputs(watch, command))

    async def _revert(self, model: str, to: str, by: str, reason: str, served: bool) -> None:
        serving = self.standing.servings.get(model)
        if serving is None:
            raise RegistryError(f"{model}: the registry has not told yet which version serves")
        version = target_of(serving, to)
        if version == serving.version:
            raise AlreadyChampion(f"{model}: version {version} serves already")
        rollout, ending = self.standing.rollouts.get(model), None
        if served:
            require_served(serving, rollout, version)
        self.observer.observe()
        if rollout is not None and rollout.carrying:
            inputs = self._inputs(self.observer.watches[model], Command(Event.ROLL_BACK, by, reason))
            decision = inputs.decide()
            assert decision is not None, "a command is always decided"
            ending = (inputs, decision)
        at = self._clock.wall()
        commit = revert(self._settings, self.standing, model, version, by, reason, ending, at, self._registered)
        await self.book.write(commit)
        self._take_stand()
        self.errand_stored.set()
        logger.warning("%s: %s by %s (generation %d)", model, commit.audit[-1].reason, by, commit.snapshot.generation)

    async def _configure(self, settings: Settings, versions: reconcile.Versions) -> None:
        self.observer.observe()
        at = self._clock.wall()
        commit = reconcile.configure(settings, self.standing, versions, at, self._registered, self._seen)
        if commit is not None:
            await self.book.write(commit)
            if commit.errands:
                self.errand_stored.set()
            for row in commit.audit:
                logger.info("%s: %s: %s (generation %d)", row.model, row.event, row.reason, row.generation)
        self._settings = settings
        self._take_stand()

    def _seen(self, rollout: Rollout, command: Command) -> Inputs:
        return self._inputs(self.observer.watches[rollout.model], command)

    async def _begin(
        self, model: ModelSettings, rollout: str, candidate: str, by: str, reason: str, override: bool
    ) -> Decision:
        last = self.standing.rollouts.get(model.name)
        if last is not None and last.carrying:
            raise IllegalEvent(last.phase, Event.START)
        serving = self.standing.servings.get(model.name)
        if serving is None:
            raise RegistryError(f"{model.name}: the registry has not told yet which version {model.champion} is")
        if serving.version == candidate:
            raise AlreadyChampion(f"{model.name}: version {candidate} is the champion already")
        if override:
            reason = f"{reason or f'asked by {by}'} (whatever the cool-down)"
        elif model.plan.cool_down:
            await self._require_cool(model, candidate)
        terms = reconcile.terms_of(model)
        fresh = Rollout(rollout, model.name, serving.version, candidate, by, terms)
        begun = await self._decided(self._inputs(Watch(fresh), Command(Event.START, by, reason)))
        for warning in warnings(terms.plan, terms.gates, terms.budget, model.shadow.share_bp):
            logger.warning("%s: %s", model.name, warning)
        return begun

    async def _require_cool(self, model: ModelSettings, candidate: str) -> None:
        """A rollback that the configuration asked for says nothing against the candidate."""
        await self.book.settle()
        now = self._clock.wall()
        for row in await self.book.history(model.name, HISTORY):
            left = row.at + model.plan.cool_down - now
            if left <= 0:
                return
            rolled_back = row.event == Event.ROLL_BACK and row.by != reconcile.CONFIGURATION
            if rolled_back and decode_inputs(row.inputs).rollout.candidate == candidate:
                cause = f"{model.name}: version {candidate} was rolled back {duration(now - row.at)} ago: {row.reason}"
                raise CoolingDown(f"{cause}; the cool-down has {duration(left)} left")

    async def _decided(self, inputs: Inputs) -> Decision:
        decision = inputs.decide()
        assert decision is not None, "a command is always decided"
        await self._carry_out(decision, inputs)
        await self._with_store(self.book.settle)
        return decision

    async def _carry_out(self, decision: Decision, inputs: Inputs) -> None:
        """A retreat is in force before anything is awaited."""
        commit = self._commit_of(decision, inputs)
        if decision.event in RETREATS:
            self.book.declare(commit)
        else:
            await self.book.write(commit)
        self._take_stand()
        if commit.errands:
            self.errand_stored.set()
        after, before = decision.rollout, inputs.rollout
        share = f" at {after.share_bp / 100:g} %" if after.carrying else ""
        level = logging.WARNING if decision.event in (*RETREATS, Event.OVERDUE) else logging.INFO
        logger.log(
            level,
            "%s: %s of version %s: %s -> %s%s, by %s: %s (generation %d)",
            *(after.model, decision.event, after.candidate, before.phase, after.phase, share),
            *(decision.by, decision.reason, inputs.generation),
        )

    async def _one_at_a_time(self, act: Callable[[], Awaitable[T]]) -> T:
        """Once more from the store's truth where another controller was faster."""
        async with self._lock:
            try:
                return await act()
            except StaleGeneration:
                await self._reload()
                return await act()

    async def _with_store(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do what may wait while the store is gone; a store that failed is left alone for a second."""
        if self._clock.monotonic() < self._store_due:
            return
        try:
            try:
                await act()
            except StaleGeneration:
                await self._reload()
        except StoreError:
            self._store_due = self._clock.monotonic() + STORE_REST

    async def _reload(self) -> None:
        """Go on from the store's truth, and take back into force the retreats that it does not know."""
        owed = self.book.owed
        self.observer.restore(await self.book.load())
        logger.warning("the store was ahead: going on from generation %d", self.standing.generation)
        for commit in owed:
            self._redo(commit)
        self._take_stand()

    def _redo(self, commit: Commit) -> None:
        lost, inputs = commit.rollouts[0], decode_inputs(commit.audit[0].inputs)
        rollout = self.standing.rollouts.get(lost.model)
        if rollout is None or rollout.id != lost.id:
            return
        if lost.carrying and rollout.epoch != inputs.rollout.epoch:
            return  # one step down, and the other controller has left that step already
        inputs = replace(inputs, rollout=rollout, generation=self.standing.generation + 1)
        with suppress(IllegalEvent):  # the other controller has ended it
            decision = inputs.decide()
            if decision is not None:
                self.book.declare(self._commit_of(decision, inputs))

    def _take_stand(self) -> None:
        """Bring the observer and the workers in line with where things stand."""
        self.observer.follow(self.standing)
        if self.standing.servings != self._pinned:
            self._pinned = self.standing.servings
            self.pins_moved(self._pinned.values())
        self.publication.publish(self.standing.snapshot)

    def _inputs(self, watch: Watch, command: Command | None) -> Inputs:
        generation = self.standing.generation + 1
        return Inputs(watch.rollout, watch.seen, command, generation, watch.window, watch.evidence)

    def _commit_of(self, decision: Decision, inputs: Inputs) -> Commit:
        return commit_of(self._settings, self.standing, decision, inputs, self._clock.wall(), self._registered)
