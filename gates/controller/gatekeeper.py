"""Who may begin: a candidate that is a NO-GO before any traffic does not, unless a named person says so, and why."""

from __future__ import annotations

from collections.abc import Sequence

from gates.controller.book import Book
from gates.controller.daemonthread import DaemonThread, in_thread
from gates.controller.people import NoGo, newest_report, no_go, override_row, report_row
from gates.decision import CONTROLLER
from gates.gathering import judge_offline
from gates.ports import Clock, RegistryError, Versions
from gates.promotion.offline import OfflineGate
from gates.promotion.report import Report, StageReport
from gates.settings import ModelSettings
from gates.verdict import GateResult

HISTORY = 1000
Judged = tuple[str, str, tuple[OfflineGate, ...]]
"""A candidate, the champion beside it, and by which gates."""


class Gatekeeper:
    """Offline gates are judged here and now, where there is a registry; of staging the newest report on record counts,
    as a load test takes minutes."""

    def __init__(self, book: Book, clock: Clock, versions: Versions | None, calls: DaemonThread) -> None:
        self._book = book
        self._clock = clock
        self._versions = versions
        self._calls = calls
        self._no_gos: dict[str, tuple[Judged, str]] = {}
        """The last NO-GO of each model's offline gates."""

    def reads_files(self, model: ModelSettings) -> bool:
        """Whether offline gates have to read the versions' files, which may take minutes."""
        return bool(model.promotion.offline) and self._versions is not None

    async def admit(
        self,
        model: ModelSettings,
        candidate: str,
        champion: str,
        by: str,
        reason: str,
        override: bool,
        anew: bool = True,
    ) -> None:
        """Unless it is to be judged `anew`, a NO-GO by the same gates is one still: to read files may take minutes.

        Raises NoGo, RegistryError where nothing can be said, and StoreError."""
        try:
            causes = await self._causes(model, candidate, champion, anew)
        except RegistryError as error:
            if not override:
                raise
            causes = [f"offline gates could not be judged: {error}"]
        await self._pass(model.name, candidate, "; ".join(causes), by, reason, override)

    async def certify(
        self, model: ModelSettings, candidate: str, results: Sequence[GateResult], by: str, reason: str, override: bool
    ) -> None:
        """A person promotes, and the production gates have said `results`. Raises NoGo, and StoreError."""
        stage = StageReport.of("production", results)
        report = Report.of(model.name, candidate, "", self._clock.wall(), [stage])
        await self._book.note(report_row(report, by, report.at))
        await self._pass(model.name, candidate, no_go(report, "production"), by, reason, override)

    async def _pass(self, model: str, candidate: str, cause: str, by: str, reason: str, override: bool) -> None:
        """Nothing speaks against it, or a named person goes on all the same. Raises NoGo."""
        if not cause:
            return
        if not override:
            raise NoGo(f"{model}: version {candidate}: {cause}")
        if not reason.strip():
            raise NoGo(f"{model}: version {candidate}: {cause}. To go on against that needs a reason")
        await self._book.note(override_row(model, candidate, cause, by, reason, self._clock.wall()))

    async def _causes(self, model: ModelSettings, candidate: str, champion: str, anew: bool) -> list[str]:
        """What speaks against it."""
        if not (model.promotion.offline or model.promotion.staging):
            return []
        found = [await self._offline(model, candidate, champion, anew)]
        if model.promotion.staging:
            found.append(await self._on_record(model, candidate, "staging"))
        return [cause for cause in found if cause]

    async def _on_record(self, model: ModelSettings, candidate: str, stage: str) -> str:
        report = newest_report(await self._book.history(model.name, HISTORY), candidate, stage)
        return "" if report is None else no_go(report, stage)

    async def _offline(self, model: ModelSettings, candidate: str, champion: str, anew: bool) -> str:
        """What they say goes on record, whatever it is. Without a registry, the newest report on record counts."""
        gates, versions = model.promotion.offline, self._versions
        if not gates or not champion or candidate == champion:
            return ""
        if versions is None:
            return await self._on_record(model, candidate, "offline")
        judged, known = (candidate, champion, tuple(gates)), self._no_gos.get(model.name)
        if known is not None and known[0] == judged and not anew:
            return known[1]
        stage = await in_thread(self._calls, judge_offline, gates, versions, model.name, candidate, champion)
        now = self._clock.wall()
        report = Report.of(model.name, candidate, champion, now, [stage])
        await self._book.note(report_row(report, CONTROLLER, now))
        if cause := no_go(report, "offline"):
            self._no_gos[model.name] = (judged, cause)
        return cause
