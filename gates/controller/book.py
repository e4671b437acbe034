"""The controller's book: where things stand, and the store in which that is written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from gates.controller.daemonthread import DaemonThread
from gates.controller.standing import NOWHERE, Standing
from gates.ports import StaleGeneration, Store, StoreError
from gates.state import AuditRow, Commit, Recorded, StageClock, State, WorkerSample

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("penstock.control")

STORE_SECONDS = 2.0


class Book:
    """Memory and store, kept in step. Every method that awaits raises StoreError where the store fails or does not
    answer within two seconds; what a call that was given up has done all the same shows as a StaleGeneration later.

    `standing` is ahead of the store by the commits that are `owed` to it."""

    def __init__(self, store: Store) -> None:
        self.calls = DaemonThread("store")
        self.standing: Standing = NOWHERE
        self.owed: list[Commit] = []
        self.on_record: Callable[[AuditRow], None] = lambda row: None
        """Told of each row as soon as what it tells of is in force."""
        self.trouble = ""
        """What the store last failed at, "" while all is well."""
        self._store = store
        self._given_up: Future[Any] | None = None

    @property
    def name(self) -> str:
        return self._store.name

    async def lead(self, seconds: float) -> str:
        """Take or renew the lease to act; who holds it from now on."""
        return await self._write(self._store.lead, seconds)

    async def resign(self) -> None:
        await self._call(self._store.resign)

    async def load(self) -> State:
        """Stand where the store stands; what was owed is forgotten."""
        state = await self._call(self._store.load)
        self.standing, self.owed = Standing.of(state), []
        return state

    async def write(self, commit: Commit) -> None:
        """Into the store first, then into memory."""
        await self.settle()
        await self._write(self._store.commit, commit)
        self._took_effect(commit)

    def declare(self, commit: Commit) -> None:
        """Into memory now, for a rollback waits for nobody; it is owed to the store."""
        self.owed.append(commit)
        self._took_effect(commit)

    async def settle(self) -> None:
        """Write what is owed, in order."""
        while self.owed:
            await self._write(self._store.commit, self.owed[0])
            del self.owed[0]

    async def keep(self, samples: Sequence[WorkerSample], clocks: Sequence[StageClock]) -> int:
        return await self._call(self._store.keep, samples, clocks)

    async def record(self, pairs: Sequence[Recorded], out: Sequence[str]) -> None:
        await self._call(self._store.record, pairs, out)

    async def recorded(self, rollout: str) -> Sequence[Recorded]:
        return await self._call(self._store.recorded, rollout)

    async def expire(self, model: str, before: float) -> None:
        await self._call(self._store.expire, model, before)

    async def note(self, row: AuditRow) -> None:
        self.on_record(row)
        await self._write(self._store.note, row)

    async def history(self, model: str | None, limit: int, since: int = 0) -> Sequence[AuditRow]:
        return await self._call(self._store.history, model, limit, since)

    def _took_effect(self, commit: Commit) -> None:
        self.standing = self.standing.after(commit)
        for row in commit.audit:
            self.on_record(row)

    def close(self) -> None:
        self.calls.shutdown(wait=False)

    async def _write(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A call that always writes something: that others succeed is no sign of health, as a store that is full can be
        read, and has nothing against a change of nothing."""
        result = await self._call(function, *args, **kwargs)
        self._note("")
        return result

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._answer(function, *args, **kwargs)
        except StaleGeneration:
            raise
        except StoreError as error:
            self._note(str(error))
            raise

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            logger.error("the store fails; serving goes on, and only rollbacks are decided: %s", trouble)
        elif self.trouble and not trouble:
            logger.info("the store answers again")
        self.trouble = trouble

    async def _answer(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._given_up is not None and not self._given_up.done():
            raise StoreError("the store still does not answer an earlier call")
        call = self.calls.submit(function, *args, **kwargs)
        answer = asyncio.wrap_future(call)
        await asyncio.wait([answer], timeout=STORE_SECONDS)
        if answer.done():
            return answer.result()
        answer.cancel()
        self._given_up = call
        raise StoreError(f"the store did not answer within {STORE_SECONDS:g} s")
