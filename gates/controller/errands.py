"""Errands: what the registry has to be told, carried after the commit that asks for it, at least once and in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, ParamSpec

import msgspec

from gates.controller.daemonthread import DaemonThread, in_thread
from gates.controller.outbox import Begin, Finish, Revert, body_of
from gates.controller.people import approvals_in
from gates.phases import Event
from gates.ports import Clock, Outbox, Registry, RegistryError, RolloutFacts, Store, Versions
from gates.promotion.certificate import certificate
from gates.state import AuditRow

P = ParamSpec("P")

logger = logging.getLogger("penstock.control")

MEASURE_EVERY = 5.0
RETRY_FIRST, RETRY_MOST = 1.0, 60.0
HISTORY = 1000

Figures = Callable[[], Iterable[tuple[RolloutFacts, Mapping[str, float]]]]
"""The figures of each carrying rollout, as they are now."""


class Errands:
    """Carries the outbox to the registry, and its figures; the registry's trouble is seen here and felt nowhere else.

    Errands of one model are done in order; those of another do not wait for them."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        store_calls: DaemonThread,
        registry: Registry,
        registry_calls: DaemonThread,
        clock: Clock,
        figures: Figures,
        stored: asyncio.Event,
        versions: Versions | None = None,
    ) -> None:
        """The two threads are those in which store and registry are used; `stored` is set when an errand was. With
        `versions`, all that is known of a promoted version is put on record."""
        self._versions = versions
        self._store = store
        self._outbox = outbox
        self._store_calls = store_calls
        self._registry = registry
        self._registry_calls = registry_calls
        self._clock = clock
        self._figures = figures
        self._stored = stored
        self._blocked: set[str] = set()
        self._pause = 0.0
        self.due = 0.0
        """When the errands are tried next, in monotonic seconds."""
        self.waiting = 0
        self.trouble = ""
        """What the registry last failed at, "" while all is well."""

    async def run(self) -> None:
        """For ever: errands as they come, again with backoff where they failed, and figures every few seconds."""
        while True:
            if self._stored.is_set() or self._clock.monotonic() >= self.due:
                self._stored.clear()
                await self.carry()
            await self.measure()
            await self._rest()

    async def carry(self) -> None:
        """One attempt at every errand that waits. Raises StoreError."""
        errands = await in_thread(self._store_calls, self._outbox.waiting)
        self._blocked = set()
        self.waiting = len(errands)
        for errand in errands:
            body = body_of(errand)
            if body.facts.model not in self._blocked and await self._tell(body):
                await in_thread(self._store_calls, self._outbox.done, errand.id)
                self.waiting -= 1
        self._pause = min(max(self._pause * 2, RETRY_FIRST), RETRY_MOST) if self._blocked else 0.0
        self.due = self._clock.monotonic() + self._pause

    async def measure(self) -> None:
        """Add a point of each carrying rollout's figures; one that cannot be taken is not missed."""
        at = self._clock.wall()
        for facts, figures in self._figures():
            if facts.model not in self._blocked:
                await self._attempt(facts, self._registry.measure, facts, figures, at)
        if self.trouble and not self._blocked:
            logger.info("the registry answers again")
            self.trouble = ""

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stored.wait(), MEASURE_EVERY)

    async def _tell(self, body: Begin | Finish | Revert) -> bool:
        if isinstance(body, Revert):
            return await self._attempt(body.facts, self._registry.revert, body.facts, body.by, body.reason, body.at)
        if isinstance(body, Begin):
            return await self._attempt(body.facts, self._registry.begin, body.facts, body.parameters, body.by, body.at)
        rows = await in_thread(self._store_calls, self._store.history, body.facts.model, HISTORY)
        if body.outcome == "promoted" and not await self._attempt(body.facts, self._certify, body, rows):
            return False
        pairs = await in_thread(self._store_calls, self._store.recorded, body.facts.rollout)
        if pairs and not await self._attempt(body.facts, self._registry.exhibit, body.facts, pairs, body.at):
            return False
        decisions = [_decision(row) for row in reversed(rows) if row.rollout == body.facts.rollout]
        return await self._attempt(
            body.facts,
            self._registry.finish,
            body.facts,
            body.outcome,
            body.by,
            body.reason,
            body.at,
            decisions,
        )

    def _certify(self, body: Finish, rows: Sequence[AuditRow]) -> None:
        if self._versions is not None:
            facts = body.facts
            known = self._versions.facts(facts.model, facts.candidate)
            reviews = [asdict(one) for one in approvals_in(rows, facts.candidate)]
            said = _verdicts(rows, facts.rollout)
            record = certificate(known, facts.champion, body.by, body.reason, body.at, reviews, said)
            self._registry.certify(body.facts, record, body.at)

    async def _attempt(self, facts: RolloutFacts, tell: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> bool:
        try:
            await in_thread(self._registry_calls, tell, *args, **kwargs)
        except RegistryError as error:
            if str(error) != self.trouble:
                logger.warning("the registry is not told of %s, and will be later: %s", facts.model, error)
            self.trouble = str(error)
            self._blocked.add(facts.model)
            return False
        return True


def _decision(row: AuditRow) -> Mapping[str, object]:
    return {**asdict(row), "inputs": msgspec.json.decode(row.inputs)}


def _verdicts(rows: Iterable[AuditRow], rollout: str) -> list[Mapping[str, object]]:
    """What the gates said when the rollout was promoted."""
    promotions = (row for row in rows if row.rollout == rollout and row.event == Event.PROMOTE)
    seen: Mapping[str, Any] = next((msgspec.json.decode(row.inputs)["observation"] for row in promotions), {})
    told = ("gate", "severity", "verdict", "value", "limit", "reason", "source")
    return [{name: one[name] for name in told} for one in (*seen.get("results", ()), *seen.get("outside", ()))]
