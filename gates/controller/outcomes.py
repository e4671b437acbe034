"""Outcomes: late labels and numbers come in, are joined to the arm that answered, and may end the rollout."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gates.controller.daemonthread import DaemonThread, in_thread
from gates.controller.people import approvals_in
from gates.controller.steering import Steering
from gates.controller.turns import Step, facts_of, steps_of, turns_of
from gates.decision import Command
from gates.phases import Event, IllegalEvent
from gates.ports import OutcomeStore, StoreError
from gates.promotion import production
from gates.promotion.outcomes import Joined, Outcome, Turn, join
from gates.promotion.production import Approval, ProductionFacts
from gates.settings import ModelSettings
from gates.verdict import GateResult, failed

logger = logging.getLogger("penstock.control")

HISTORY = 1000
JUDGE_EVERY = 1.0
ROLLOUTS_KEPT = 3
"""The outcomes of so many newest rollouts of a model are kept."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one call's outcomes. `duplicates` were known before, `unjoined` belong to no arm, by reason."""

    new: int = 0
    duplicates: int = 0
    unjoined: Mapping[str, int] = field(default_factory=dict)


class Outcomes:
    """The store is used in a thread of its own, so that a flood of labels holds up no decision."""

    def __init__(self, steering: Steering, store: OutcomeStore) -> None:
        self._steering = steering
        self._store = store
        self._calls = DaemonThread("outcomes")
        self._came = asyncio.Event()
        self._came.set()  # what came before the last process ended may not have been judged
        self._steps: dict[str, tuple[int, list[Step]]] = {}

    async def post(self, model: str, outcomes: Sequence[Outcome]) -> Receipt:
        """Raises StoreError."""
        turns = turns_of(await self.steps(model))
        receipt = await in_thread(self._calls, self._keep, model, turns, outcomes)
        if receipt.new:
            self._came.set()
        return receipt

    async def facts(self, model: str, candidate: str) -> ProductionFacts:
        """All that is on record of the candidate's newest rollout. Raises StoreError."""
        watch = self._steering.observer.watches.get(model)
        rollout = None if watch is None else watch.rollout
        in_shadow = rollout is not None and rollout.candidate == candidate and rollout.position == 0
        shadow = watch.seen.elapsed if watch is not None and in_shadow else None
        facts = facts_of(await self.steps(model), candidate, shadow)
        outcomes = await in_thread(self._calls, self._store.tally, facts.rollout) if facts.rollout else {}
        return replace(facts, outcomes=outcomes, approvals=await self._approvals(model, candidate))

    async def steps(self, model: str) -> list[Step]:
        """The model's decisions on record, oldest first."""
        generation = self._steering.standing.generation
        known = self._steps.get(model)
        if known is None or known[0] != generation:
            rows = await self._steering.book.history(model, HISTORY)
            known = self._steps[model] = (generation, list(steps_of(reversed(rows))))
        return known[1]

    async def judge(self, models: Mapping[str, ModelSettings]) -> None:
        """Roll back every rollout whose accuracy has dropped beyond doubt."""
        for watch in list(self._steering.observer.carrying()):
            rollout = watch.rollout
            gates = models[rollout.model].promotion.accuracy if rollout.model in models else ()
            if not gates or rollout.terms.plan.dry_run:
                continue
            facts = ProductionFacts(rollout.id, outcomes=await in_thread(self._calls, self._store.tally, rollout.id))
            culprit = failed(production.judge(gates, facts, {}, ""))
            if culprit is not None:
                await self._roll_back(rollout.model, rollout.id, culprit)

    async def run(self, models: Callable[[], Mapping[str, ModelSettings]]) -> None:
        """`models` are those that are configured now. Judge whenever outcomes came, and not more than once a second."""
        while True:
            await self._came.wait()
            self._came.clear()
            try:
                await self.judge(models())
            except StoreError as error:
                logger.warning("outcomes cannot be judged: %s", error)
            await asyncio.sleep(JUDGE_EVERY)

    def close(self) -> None:
        self._calls.shutdown(wait=False)

    def _keep(self, model: str, turns: Sequence[Turn], outcomes: Sequence[Outcome]) -> Receipt:
        """In the thread, as ten thousand assignments take their time."""
        found = [join(turns, outcome) for outcome in outcomes]
        joined = [one for one in found if isinstance(one, Joined)]
        unjoined = Counter[str](one for one in found if not isinstance(one, Joined))
        kept = list(dict.fromkeys(turn.rollout for turn in reversed(turns) if turn.rollout))[:ROLLOUTS_KEPT]
        new = self._store.add(model, joined, kept) if joined else 0
        return Receipt(new, len(joined) - new, dict(unjoined))

    async def _roll_back(self, model: str, rollout: str, culprit: GateResult) -> None:
        """Through the one `decide`, as a person's rollback is; another rollout than the one that was judged stays."""
        now = self._steering.standing.rollouts.get(model)
        if now is None or now.id != rollout:
            return
        command = Command(Event.ROLL_BACK, f"gate {culprit.gate}", f"gate {culprit.gate}: {culprit.reason}")
        try:
            await self._steering.command(model, command)
        except IllegalEvent:
            logger.info("%s: the rollout had ended before gate %s could end it", model, culprit.gate)

    async def _approvals(self, model: str, candidate: str) -> tuple[Approval, ...]:
        return approvals_in(await self._steering.book.history(model, HISTORY), candidate)
