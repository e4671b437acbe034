"""The configuration, taken up while everything runs: read once, checked, and put in force as a whole, or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Protocol

import msgspec

from gates.configured import Consequence, Otherwise, Rehearsal, Taken
from gates.controller import replay
from gates.controller.controller import Controller
from gates.controller.daemonthread import DaemonThread, in_thread
from gates.controller.reconcile import CONFIGURATION
from gates.controller.routes import Unroutable
from gates.ports import Clock, StoreError, Unusable
from gates.settings import Settings, SettingsError, Source, load
from gates.settings.difference import changes, waiting
from gates.state import AuditRow
from gates.status import ConfigurationStatus
from proxy.snapshot import Phase

logger = logging.getLogger("penstock.control")

SECOND_LOOK = 0.1
"""Seconds after which files that are not sound are read once more, before it is told: they may be half written."""
STORE_REST = 1.0
LAST_HOUR = 3600.0
MAX_ROWS = 1000
LONGEST_REASON = 2000
DIGITS = 12
OUTCOMES = ("taken", "unchanged", "refused", "failed")
"""refused: the files are not sound. failed: the store could not take it up, and it is tried again."""


class Follower(Protocol):
    """A part of the control plane that goes by the settings, beside the controller."""

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """What makes these settings count, and cannot fail any more. Raises Unusable."""
        ...


Watch = Callable[[Callable[[], Iterable[Path]]], AsyncIterator[None]]


class Unsound(Exception):
    """The configuration cannot be put in force, and nothing was changed; the text has a line for each problem."""


class Reloader:
    """Reads the files of the settings in force again: when told to, and when their folders change."""

    def __init__(
        self,
        controller: Controller,
        settings: Settings,
        clock: Clock,
        watch: Watch,
        followers: Sequence[Follower] = (),
    ) -> None:
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        """How many reloads ended how."""
        self._controller = controller
        self._settings = settings
        self._started = settings.written
        self._clock = clock
        self._watch = watch
        self._followers = followers
        self._seen = settings.source
        self._taken_at = clock.wall()
        self._trouble = ""
        self._owed = False
        self._lock = asyncio.Lock()
        self._disk = DaemonThread("configuration")

    @property
    def status(self) -> ConfigurationStatus:
        waits = waiting(self._started, self._settings.written)
        return ConfigurationStatus(self._settings.source.digest[:DIGITS], self._taken_at, self._trouble, waits)

    async def run(self) -> None:
        """Take up what changes in the files' folders, for ever; what the store cannot take now, once it is back."""
        async for _ in self._watch(lambda: {*self._seen.files, *self._settings.source.files}):
            await self._look()
            while self._owed:
                await asyncio.sleep(STORE_REST)
                await self._look()

    async def reload(self, by: str, reason: str = "") -> Taken:
        """Take up what the files say now.

        Raises Unsound, and StoreError where it is taken up as soon as the store is back."""
        async with self._lock:
            try:
                settings = await self._read()
            except SettingsError as error:
                raise await self._refuse(error.source, str(error), by) from None
            return await self._take(settings, by, reason)

    async def rehearse(self) -> Rehearsal:
        """What `reload` would do, and what the last hour's decisions would have been. Raises Unsound and StoreError."""
        try:
            settings = await self._read()
            for follower in self._followers:
                follower.prepare(settings)
            consequences = self._controller.preview(settings)
        except SettingsError as error:
            raise Unsound(str(error)) from None
        except (Unroutable, Unusable) as error:
            raise Unsound(f"{settings.place(error.key)}: {error}") from None
        history = await self._controller.queries.events(None, MAX_ROWS)
        replayed, otherwise = _under(settings, history, self._clock.wall() - LAST_HOUR)
        return Rehearsal(
            settings.source.digest != self._settings.source.digest,
            settings.source.digest[:DIGITS],
            changes(self._settings.written, settings.written),
            waiting(self._started, settings.written),
            tuple(Consequence(*each) for each in consequences),
            replayed,
            tuple(otherwise),
        )

    async def _look(self) -> None:
        """Something may have changed. The same files are not told of twice."""
        async with self._lock:
            with suppress(Unsound, StoreError):
                try:
                    settings = await self._read()
                except SettingsError as error:
                    if error.source != self._seen:
                        await self._refuse(error.source, str(error), CONFIGURATION)
                    return
                if settings.source != self._seen or self._owed:
                    await self._take(settings, CONFIGURATION, "")

    async def _read(self) -> Settings:
        """Raises SettingsError for files that are not sound at a second look either."""
        path = self._settings.path
        try:
            return await in_thread(self._disk, load, path)
        except SettingsError as error:
            if error.source == self._seen:
                raise
            await asyncio.sleep(SECOND_LOOK)
            return await in_thread(self._disk, load, path)

    async def _take(self, settings: Settings, by: str, reason: str) -> Taken:
        before, known = self._settings, self._seen
        changed = settings.source.digest != before.source.digest
        if changed:
            try:
                prepared = [follower.prepare(settings) for follower in self._followers]
                await self._controller.adopt(settings)
            except (Unroutable, Unusable) as error:
                why = f"{settings.place(error.key)}: {error}"
                raise await self._refuse(settings.source, why, by) from None
            except StoreError as error:
                self._fail(settings.source, str(error))
                raise
            for follow in prepared:
                follow()
            self._settings, self._taken_at = settings, self._clock.wall()
        self._seen, self._trouble, self._owed = settings.source, "", False
        self.outcomes["taken" if changed else "unchanged"] += 1
        taken = Taken(
            changed,
            settings.source.digest[:DIGITS],
            self._controller.snapshot.generation,
            changes(before.written, settings.written),
            waiting(self._started, settings.written),
        )
        if changed or known != settings.source:
            await self._tell_taken(taken, by, reason)
        return taken

    async def _tell_taken(self, taken: Taken, by: str, reason: str) -> None:
        told = "; ".join(map(str, taken.changes)) or "it says what was in force before"
        logger.info("configuration %s taken up, by %s: %s", taken.digest, by, told)
        if taken.waits_for_restart:
            logger.warning("taken up once the control plane starts anew: %s", ", ".join(taken.waits_for_restart))
        await self._note("reload", by, f"{reason}: {told}" if reason else told, taken)

    async def _refuse(self, source: Source, why: str, by: str) -> Unsound:
        """Tell of files that are not sound; what is in force stays."""
        self._seen, self._trouble, self._owed = source, why, False
        self.outcomes["refused"] += 1
        logger.error("the configuration is not taken up, and the last good one stays: %s", why)
        await self._note("reload_refused", by, why, source.digest)
        return Unsound(why)

    def _fail(self, source: Source, why: str) -> None:
        self._seen, self._trouble, self._owed = source, f"sound, and not in force before the store is back: {why}", True
        self.outcomes["failed"] += 1
        logger.error("the configuration is taken up once the store is back: %s", why)

    async def _note(self, event: str, by: str, reason: str, inputs: object) -> None:
        """For the record, if the store can take it: what is in force does not depend on it."""
        if not self._controller.started:
            return
        written = msgspec.json.encode(inputs).decode()
        row = AuditRow(0, self._clock.wall(), "", "", event, by, reason[:LONGEST_REASON], Phase.IDLE, 0, written)
        try:
            await self._controller.note(row)
        except StoreError as error:
            logger.error("the audit trail lacks a row, %s by %s: %s", event, by, error)


def _under(settings: Settings, history: Sequence[AuditRow], since: float) -> tuple[int, list[Otherwise]]:
    """How many decisions after `since` were made again by the settings' gates, and those that come out otherwise: the
    first of each rollout, as what would have come after it was never seen. `history` is newest first."""
    gates = {model.name: model.gates for model in settings.models}
    rows = sorted((row for row in reversed(history) if row.rollout and row.model in gates), key=_rollout_of)
    count, otherwise = 0, []
    for _, rollout in groupby(rows, key=_rollout_of):
        trial = list(rollout)
        if trial[-1].at < since:
            continue
        for each in replay.under(gates[trial[0].model], replay.replay(trial)):
            count += each.row.at >= since
            if not each.same:
                otherwise.append(
                    Otherwise(
                        each.row.at, each.row.model, each.row.rollout, each.row.event, each.event or "", each.reason
                    )
                )
    return count, otherwise


def _rollout_of(row: AuditRow) -> str:
    return row.rollout
