"""Evaluate, decide, commit: one decision at a time, each carried out in memory, for the workers and in the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from gates.controller import reconcile
from gates.controller.book import Book
from gates.controller.observer import Observer
from gates.controller.publication import Publication
from gates.controller.record import Inputs, commit_of, decode_inputs
from gates.controller.standing import Standing
from gates.decision import Command, Decision, Observation, Rollout, Terms
from gates.phases import Event, IllegalEvent
from gates.ports import Clock, Commit, RegistryError, StaleGeneration, Store, StoreError
from gates.settings import ModelSettings, Settings
from proxy.snapshot import Phase

logger = logging.getLogger("penstock.control")

STORE_REST = 1.0


class AlreadyChampion(Exception):
    """The version to be tried is the one that serves."""


class Steering:
    """A rollback takes effect in memory, and so for the workers, before it is stored; everything else is stored first,
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

    @property
    def standing(self) -> Standing:
        return self.book.standing

    async def load(self) -> None:
        """Take up the store's present; the workers are told when it is configured. Raises StoreError."""
        async with self._lock:
            self.observer.restore(await self.book.load())

    async def configure(self, versions: reconcile.Versions) -> None:
        """Bring the store in line with the settings. Raises StoreError and Unroutable."""
        async with self._lock:
            at = self._clock.wall()
            commit = reconcile.configure(self._settings, self.standing, versions, at, self._registered)
            if commit is not None:
                await self.book.write(commit)
                if commit.errands:
                    self.errand_stored.set()
                for row in commit.audit:
                    logger.info("%s: %s: %s (generation %d)", row.model, row.event, row.reason, row.generation)
            self._take_stand()

    async def tick(self) -> None:
        """Observe every rollout, and decide what is to be decided: rollbacks first."""
        async with self._lock:
            self.observer.observe()
            for inputs, decision in self._due():
                if decision.event is Event.ROLL_BACK:
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

    async def begin(self, model: ModelSettings, rollout: str, candidate: str, by: str, reason: str) -> Decision:
        """Begin a rollout of this id.

        Raises IllegalEvent, AlreadyChampion, Unroutable, RegistryError and StoreError."""
        return await self._one_at_a_time(lambda: self._begin(model, rollout, candidate, by, reason))

    def _due(self) -> Iterator[tuple[Inputs, Decision]]:
        """What the plans and the gates ask for; each is decided when its turn comes, as the generation is then."""
        for watch in self.observer.carrying():
            inputs = self._inputs(watch.rollout, watch.seen, None)
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
        return await self._decided(self._inputs(watch.rollout, watch.seen, command))

    async def _begin(self, model: ModelSettings, rollout: str, candidate: str, by: str, reason: str) -> Decision:
        last = self.standing.rollouts.get(model.name)
        if last is not None and last.carrying:
            raise IllegalEvent(last.phase, Event.START)
        serving = self.standing.servings.get(model.name)
        if serving is None:
            raise RegistryError(f"{model.name}: the registry has not told yet which version {model.champion} is")
        if serving.version == candidate:
            raise AlreadyChampion(f"{model.name}: version {candidate} is the champion already")
        terms = Terms(model.plan, model.gates, model.budget)
        fresh = Rollout(rollout, model.name, serving.version, candidate, by, terms)
        return await self._decided(self._inputs(fresh, Observation(), Command(Event.START, by, reason)))

    async def _decided(self, inputs: Inputs) -> Decision:
        decision = inputs.decide()
        assert decision is not None, "a command is always decided"
        await self._carry_out(decision, inputs)
        await self._with_store(self.book.settle)
        return decision

    async def _carry_out(self, decision: Decision, inputs: Inputs) -> None:
        """A rollback is in force before anything is awaited."""
        commit = self._commit_of(decision, inputs)
        if decision.event is Event.ROLL_BACK:
            self.book.declare(commit)
        else:
            await self.book.write(commit)
        self._take_stand()
        if commit.errands:
            self.errand_stored.set()
        after, before = decision.rollout, inputs.rollout
        share = f" at {after.share_bp / 100:g} %" if after.carrying else ""
        logger.info(
            "%s: %s of version %s: %s -> %s%s, by %s: %s (generation %d)",
            *(after.model, decision.event, after.candidate, before.phase, after.phase, share),
            *(decision.by, decision.reason, inputs.generation),
        )

    async def _one_at_a_time(self, act: Callable[[], Awaitable[Decision]]) -> Decision:
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
        """Go on from the store's truth, and take back into force the rollbacks that it does not know."""
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
        inputs = replace(inputs, rollout=rollout, generation=self.standing.generation + 1)
        with suppress(IllegalEvent):  # the other controller has ended it
            decision = inputs.decide()
            if decision is not None:
                self.book.declare(self._commit_of(decision, inputs))

    def _take_stand(self) -> None:
        """Bring the observer and the workers in line with where things stand."""
        self.observer.follow(self.standing)
        self.publication.publish(self.standing.snapshot)

    def _inputs(self, rollout: Rollout, seen: Observation, command: Command | None) -> Inputs:
        return Inputs(rollout, seen, command, self.standing.generation + 1)

    def _commit_of(self, decision: Decision, inputs: Inputs) -> Commit:
        return commit_of(self._settings, self.standing, decision, inputs, self._clock.wall(), self._registered)
