"""What no window holds, asked for every rollout that is under way: Prometheus, outcomes, what people have said."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from gates.controller.daemonthread import DaemonThread, in_thread
from gates.controller.outcomes import Outcomes
from gates.controller.revert import NoSuchPast
from gates.controller.routes import Unroutable
from gates.controller.steering import AlreadyChampion, Steering
from gates.controller.watch import Watch
from gates.decision import by_gate
from gates.phases import IllegalEvent
from gates.ports import Clock, MetricsError, MetricSource, RegistryError, StoreError
from gates.promotion.production import Accuracy, Lift, ProductionFacts, ProductionGate
from gates.promotion.series import SeriesGate
from gates.promotion.underway import UnderWay
from gates.rollout import Rollout
from gates.settings import ModelSettings, Settings
from gates.verdict import GateResult, failed
from proxy.snapshot import Phase

logger = logging.getLogger("penstock.control")

LOOK_EVERY = 1.0
ASK_EVERY = 5.0
"""How often Prometheus is asked. A new stage, and what becomes known, are looked at sooner."""
ANSWER_SECONDS = 5.0
"""How long a query may take, whatever the server drips."""
QUERIES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _Asked:
    """When a model was looked at last: which rollout and stage it was in, whether that was late, and after how much
    news."""

    at: float
    rollout: str
    epoch: int
    overdue: bool
    news: int

    def knows(self, other: _Asked) -> bool:
        """Whether the other was made of the same stage, with nothing new on record since."""
        return replace(self, at=other.at) == other


class Lookout:
    """Hears what the outside gates of each rollout say, and lets its watch know; the control loop waits for none of it.

    Who cannot be asked says nothing: the gate is INSUFFICIENT, and its reason tells why."""

    def __init__(
        self,
        steering: Steering,
        clock: Clock,
        outcomes: Outcomes | None,
        settings: Callable[[], Settings],
        metrics: Callable[[str], MetricSource] | None,
    ) -> None:
        """`settings` are those in force; `metrics` gives the metrics server at a URL."""
        self._steering = steering
        self._clock = clock
        self._outcomes = outcomes
        self._settings = settings
        self._metrics = metrics
        self._sources: dict[str, MetricSource] = {}
        self._threads = [DaemonThread(f"metrics-{number}") for number in range(QUERIES_AT_ONCE)]
        self._turns = cycle(self._threads)
        self._asked: dict[str, _Asked] = {}
        self._facts: dict[str, tuple[_Asked, ProductionFacts]] = {}

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """At every rollout whose turn it is, and at those that were promoted and have outcomes since."""
        models = {model.name: model for model in self._settings().models}
        watches = [watch for watch in self._steering.observer.watches.values() if watch.rollout.model in models]
        looks = (self._look_at(watch, models[watch.rollout.model]) for watch in watches)
        for watch, trouble in zip(watches, await asyncio.gather(*looks, return_exceptions=True), strict=True):
            if isinstance(trouble, Exception):  # a bug of ours costs one model its word, and the control loop nothing
                logger.error("%s: its gates could not be looked at", watch.rollout.model, exc_info=trouble)

    async def judge(self, model: ModelSettings, facts: ProductionFacts) -> tuple[GateResult, ...]:
        """What the model's production gates say now."""
        return tuple(await asyncio.gather(*(self._judged(rule, facts) for rule in model.promotion.production)))

    def close(self) -> None:
        for thread in self._threads:
            thread.shutdown(wait=False)

    async def _look_at(self, watch: Watch, model: ModelSettings) -> None:
        rollout = watch.rollout
        before, now = self._asked.get(model.name), self._now(rollout)
        known = before is not None and before.knows(now)
        if rollout.carrying:
            rested = before is None or now.at - before.at >= ASK_EVERY
            if not known or rested or watch.unheard:
                self._asked[model.name] = now
                await self._hear(watch, model, now)
        elif rollout.phase is Phase.PROMOTED and not known:
            self._asked[model.name] = now
            await self._look_back(watch, model)

    def _now(self, rollout: Rollout) -> _Asked:
        news = 0 if self._outcomes is None else self._outcomes.news
        return _Asked(self._clock.monotonic(), rollout.id, rollout.epoch, rollout.overdue, news)

    async def _hear(self, watch: Watch, model: ModelSettings, now: _Asked) -> None:
        here = watch.rollout.terms.outside_at(watch.rollout.position)
        asked = [each for each in model.promotion.under_way if each.gate in here]
        if not asked:
            return
        facts = await self._facts_of(watch, asked, now)
        said = await asyncio.gather(*(self._judged(each.rule, facts) for each in asked))
        watch.hear(
            now.epoch, {each.gate: result for each, result in zip(asked, said, strict=True)}, self._clock.monotonic()
        )

    async def _look_back(self, watch: Watch, model: ModelSettings) -> None:
        """Labels go on coming after a promotion. A candidate that is the worse beyond doubt gives way to the version
        before it, unless somebody has changed since who serves."""
        try:
            culprit = await self._culprit_since(watch, model)
        except StoreError as error:
            del self._asked[model.name]  # to be asked again
            logger.warning("%s: outcomes cannot be judged: %s", model.name, error)
            return
        trouble = "" if culprit is None else await self._go_back(watch.rollout, culprit)
        if trouble:
            self._asked.pop(model.name, None)  # to be tried again: no label may come that brings it up anew
            if trouble != watch.stuck:
                logger.error("%s: %s", model.name, trouble)
        watch.stuck = trouble

    async def _culprit_since(self, watch: Watch, model: ModelSettings) -> GateResult | None:
        """The gate that fails by what has come of the ramp's answers, while the candidate still serves. Raises
        StoreError."""
        rollout = watch.rollout
        rules = [rule for rule in model.promotion.production if isinstance(rule, Accuracy | Lift)]
        if not rules or self._outcomes is None or rollout.terms.plan.dry_run or not self._still_serves(rollout):
            return None
        facts = ProductionFacts(rollout.id, outcomes=await self._outcomes.tally(rollout.id))
        return failed([rule.judge(facts) for rule in rules]) if self._still_serves(rollout) else None

    def _still_serves(self, rollout: Rollout) -> bool:
        serving = self._steering.standing.servings.get(rollout.model)
        return serving is not None and (serving.version, serving.epoch) == (rollout.candidate, rollout.epoch)

    async def _go_back(self, rollout: Rollout, culprit: GateResult) -> str:
        """What stands in the way, "" where nothing does."""
        reason = f"gate {culprit.gate}, by outcomes since the promotion: {culprit.reason}"
        try:
            await self._steering.revert(rollout.model, rollout.champion, by_gate(culprit.gate), reason)
        except (AlreadyChampion, IllegalEvent, NoSuchPast, RegistryError, StoreError, Unroutable) as error:
            return f"version {rollout.candidate} should give way to {rollout.champion} ({reason}), and cannot: {error}"
        return ""

    async def _facts_of(self, watch: Watch, asked: Sequence[UnderWay], now: _Asked) -> ProductionFacts | None:
        """What is on record, read anew when there is news; None where it cannot be read, or nobody asks for it."""
        rollout = watch.rollout
        if self._outcomes is None or all(isinstance(each.rule, SeriesGate) for each in asked):
            return None
        known = self._facts.get(rollout.model)
        if known is None or not known[0].knows(now):
            try:
                known = self._facts[rollout.model] = (now, await self._outcomes.facts(rollout.model, rollout.candidate))
            except StoreError as error:
                logger.warning("%s: what is on record cannot be judged: %s", rollout.model, error)
                return None
        facts = known[1]
        return replace(facts, shadow_seconds=watch.seen.elapsed) if rollout.position == 0 else facts

    async def _judged(self, rule: ProductionGate, facts: ProductionFacts | None) -> GateResult:
        if isinstance(rule, SeriesGate):
            return await self._by_metrics(rule)
        if facts is None:
            return rule.lacking(0.0, "what is on record cannot be read", "Penstock")
        return rule.judge(facts)

    async def _by_metrics(self, gate: SeriesGate) -> GateResult:
        source = self._source()
        if source is None:
            return gate.lacking(0.0, "no Prometheus server is configured", "Prometheus")
        asked = in_thread(next(self._turns), source.series, gate.query, gate.span, self._clock.wall())
        try:
            answer = await asyncio.wait_for(asked, ANSWER_SECONDS)
        except TimeoutError:
            return gate.lacking(0.0, f"no answer within {ANSWER_SECONDS:g} s", source.name)
        except MetricsError as error:
            return gate.lacking(0.0, str(error), source.name)
        return gate.judge(answer, source.name)

    def _source(self) -> MetricSource | None:
        url = self._settings().prometheus
        if url is None or self._metrics is None:
            return None
        if url not in self._sources:
            self._sources = {url: self._metrics(url)}
        return self._sources[url]
