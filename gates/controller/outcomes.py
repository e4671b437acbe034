"""Outcomes: late labels and numbers come in, and are joined to the arm that answered."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gates.controller.daemonthread import DaemonThread, in_thread
from gates.controller.people import approvals_in
from gates.controller.steering import Steering
from gates.controller.turns import Step, facts_of, steps_of, turns_of
from gates.evidence import Moments
from gates.ports import OutcomeStore
from gates.promotion.outcomes import Joined, Outcome, Turn, join
from gates.promotion.production import Approval, ProductionFacts
from gates.state import AuditRow

logger = logging.getLogger("penstock.control")

HISTORY = 1000
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
        self.news = 0
        """It grows with whatever comes on record that gates are judged by."""
        self._steps: dict[str, tuple[int, list[Step]]] = {}

    async def post(self, model: str, outcomes: Sequence[Outcome]) -> Receipt:
        """Raises StoreError."""
        turns = turns_of(await self.steps(model))
        receipt = await in_thread(self._calls, self._keep, model, turns, outcomes)
        if receipt.new:
            self.news += 1
        return receipt

    async def facts(self, model: str, candidate: str) -> ProductionFacts:
        """All that is on record of the candidate's newest rollout. Raises StoreError."""
        watch = self._steering.observer.watches.get(model)
        rollout = None if watch is None else watch.rollout
        in_shadow = rollout is not None and rollout.candidate == candidate and rollout.position == 0
        shadow = watch.seen.elapsed if watch is not None and in_shadow else None
        facts = facts_of(await self.steps(model), candidate, shadow)
        outcomes = await self.tally(facts.rollout) if facts.rollout else {}
        return replace(facts, outcomes=outcomes, approvals=await self._approvals(model, candidate))

    async def steps(self, model: str) -> list[Step]:
        """The model's decisions on record, oldest first."""
        generation = self._steering.standing.generation
        known = self._steps.get(model)
        if known is None or known[0] != generation:
            rows = await self._steering.book.history(model, HISTORY)
            known = self._steps[model] = (generation, await in_thread(self._calls, _made_again, rows))
        return known[1]

    async def tally(self, rollout: str) -> Mapping[str, Mapping[str, Moments]]:
        """What came of the rollout's answers, by outcome and arm. Raises StoreError."""
        return await in_thread(self._calls, self._store.tally, rollout)

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

    async def _approvals(self, model: str, candidate: str) -> tuple[Approval, ...]:
        return approvals_in(await self._steering.book.history(model, HISTORY), candidate)


def _made_again(rows: Sequence[AuditRow]) -> list[Step]:
    """In the thread, as a thousand decisions take their time; `rows` newest first. Raises StoreError."""
    return list(steps_of(reversed(rows)))
