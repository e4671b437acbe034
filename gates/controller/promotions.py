"""What surrounds a rollout: who may begin and who may be promoted, what came of the answers, what people say of a
version."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gates.controller.daemonthread import DaemonThread
from gates.controller.gatekeeper import Gatekeeper
from gates.controller.lookout import Lookout
from gates.controller.outcomes import Outcomes, Receipt
from gates.controller.people import approval_row, report_row
from gates.controller.steering import Steering
from gates.decision import Command, Decision, require_meant
from gates.ports import Clock, MetricSource, OutcomeStore, StoreError, Versions
from gates.promotion.outcomes import Outcome
from gates.promotion.production import ProductionFacts, Review
from gates.promotion.report import Report
from gates.settings import ModelSettings, Settings


class Promotions:
    """Every method raises what `configured` does for an unknown model, and StoreError."""

    def __init__(
        self,
        steering: Steering,
        clock: Clock,
        outcomes: OutcomeStore | None,
        versions: Versions | None,
        configured: Callable[[str], ModelSettings],
        resolve: Callable[[str, str], Awaitable[str]],
        settings: Callable[[], Settings],
        metrics: Callable[[str], MetricSource] | None,
    ) -> None:
        """`configured` gives a model's settings, `resolve` the version that a reference names now, `settings` those in
        force, `metrics` the metrics server at a URL."""
        self._steering = steering
        self._clock = clock
        self._outcomes = None if outcomes is None else Outcomes(steering, outcomes)
        self._reading = DaemonThread("versions")  # of its own: a model's files take longer than an errand may wait
        self._gatekeeper = Gatekeeper(steering.book, clock, versions, self._reading)
        self._lookout = Lookout(steering, clock, self._outcomes, settings, metrics)
        self._configured = configured
        self._resolve = resolve

    async def admit(
        self, model: ModelSettings, candidate: str, by: str, reason: str, override: bool, anew: bool = True
    ) -> None:
        """A rollout is about to begin; unless it is to be judged `anew`, a NO-GO that was found by the same gates is
        one still. Raises NoGo, and RegistryError where nothing can be said."""
        serving = self._steering.standing.servings.get(model.name)
        champion = serving.version if serving else ""
        await self._gatekeeper.admit(model, candidate, champion, by, reason, override, anew)

    def reads_files(self, model: ModelSettings) -> bool:
        """Whether to admit a candidate may take minutes."""
        return self._gatekeeper.reads_files(model)

    async def promote(self, model: str, command: Command, override: bool) -> Decision:
        """A person's promotion, unless the production gates are a NO-GO: then with `override` and a reason alone.

        Raises NoGo, MovedOn and IllegalEvent."""
        settings, rollout = self._configured(model), self._steering.standing.rollouts.get(model)
        if settings.promotion.production and rollout is not None and rollout.carrying:
            require_meant(rollout, command)  # before an override goes on record
            facts = await self._kept.facts(model, rollout.candidate)
            results = await self._lookout.judge(settings, facts)
            await self._gatekeeper.certify(settings, rollout.candidate, results, command.by, command.reason, override)
        return await self._steering.command(model, command)

    async def post(self, model: str, outcomes: Sequence[Outcome]) -> Receipt:
        """What came of answers; what it changes is judged within a second."""
        self._configured(model)
        return await self._kept.post(model, outcomes)

    async def facts(self, model: str, candidate: str = "") -> ProductionFacts:
        """What is on record of a candidate, that of the newest rollout where none is named. Raises RegistryError."""
        self._configured(model)
        newest = self._steering.standing.rollouts.get(model)
        version = await self._resolve(model, candidate) if candidate else newest.candidate if newest else ""
        return await self._kept.facts(model, version)

    async def approve(self, model: str, candidate: str, review: Review, by: str, note: str) -> None:
        """Put a person's review on record. Raises RegistryError."""
        self._configured(model)
        version = await self._resolve(model, candidate)
        await self._steering.book.note(approval_row(model, version, review, by, note, self._clock.wall()))
        if self._outcomes is not None:
            self._outcomes.news += 1

    async def record(self, report: Report, by: str) -> None:
        """Put what gates said on record."""
        self._configured(report.model)
        await self._steering.book.note(report_row(report, by, self._clock.wall()))

    async def look(self) -> None:
        """Hear what gates over other things than windows say, of each rollout whose turn it is."""
        await self._lookout.look()

    async def run(self) -> None:
        """Look, for ever."""
        await self._lookout.run()

    def close(self) -> None:
        self._reading.shutdown(wait=False)
        self._lookout.close()
        if self._outcomes is not None:
            self._outcomes.close()

    @property
    def _kept(self) -> Outcomes:
        if self._outcomes is None:
            raise StoreError("this control plane keeps no outcomes")
        return self._outcomes
