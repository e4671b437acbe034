"""The disagreements of each model's newest rollout that are kept, by the rule that every worker chooses by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from gates.controller.book import Book
from gates.ports import StoreError
from gates.rollout import Rollout
from gates.settings import ModelSettings
from gates.state import Recorded
from proxy.disagreements import Disagreement, Selection, ranked, representative, worst

EXPIRE_EVERY = 3600.0
MOST_FINDINGS = 64
"""Names of findings in one rollout: ours are about thirty."""


class Casebook:
    """Pairs come with the workers' pushes, and are in the store within a second; what is outdone goes out of it.

    `settings` gives those in force, by model."""

    def __init__(self, book: Book, settings: Callable[[], Mapping[str, ModelSettings]]) -> None:
        self._book = book
        self._settings = settings
        self._selections: dict[str, tuple[str, Selection]] = {}
        """By model: its newest rollout, and what was chosen of it."""
        self._unwritten: dict[str, Recorded] = {}
        self._out: list[str] = []
        self._expired = 0.0

    async def load(self, rollouts: Iterable[Rollout]) -> None:
        """Choose on from where the store's records stop. Raises StoreError."""
        self._selections.clear()
        for rollout in rollouts:
            for pair in await self._book.recorded(rollout.id):
                self._choose(rollout, pair)

    def take(self, pairs: Iterable[Disagreement], rollouts: Mapping[str, Rollout], at: float) -> None:
        """Take up what a worker pushed; `rollouts` are each model's newest, `at` is wall time.

        A pair of an earlier rollout, or of a model that is not served, is let go. One that comes twice is one."""
        for pair in pairs:
            rollout = rollouts.get(pair.model)
            if rollout is None or pair.epoch < rollout.begun:
                continue
            out = self._choose(rollout, pair)
            if pair.id not in out:
                self._unwritten[pair.id] = Recorded(**msgspec.structs.asdict(pair), rollout=rollout.id, at=at)
            for gone in out:
                if gone != pair.id:
                    self._unwritten.pop(gone, None)
                    self._out.append(gone)

    async def keep(self, wall: float) -> None:
        """Write down what was chosen, and now and then forget what is older than the settings allow.

        What cannot be written stays for the next time."""
        pairs, out = list(self._unwritten.values()), list(self._out)
        try:
            if pairs or out:
                await self._book.record(pairs, out)
                for pair in pairs:
                    self._unwritten.pop(pair.id, None)
                del self._out[: len(out)]
            if wall - self._expired >= EXPIRE_EVERY:
                for model in self._settings().values():
                    await self._book.expire(model.name, wall - model.retention)
                self._expired = wall
        except StoreError:
            return

    async def of(self, model: str, rollout: str) -> Sequence[Recorded]:
        """The rollout's records, each with what it was chosen for: first the most severe of each finding, then the next
        of each, so that what happens often does not hide what happens besides. Raises StoreError."""
        keep = self._settings()[model].record.keep
        by_finding: dict[str, list[Recorded]] = {}
        for pair in await self._book.recorded(rollout):
            by_finding.setdefault(pair.finding, []).append(pair)
        told: list[tuple[int, Recorded]] = []
        for pairs in by_finding.values():
            ranks = list(map(ranked, pairs))
            severe, fair = set(worst(ranks, keep)), set(representative(ranks, keep))
            pairs = [
                msgspec.structs.replace(pair, worst=rank in severe, representative=rank in fair)
                for pair, rank in zip(pairs, ranks, strict=True)
            ]
            told += enumerate(sorted(pairs, key=lambda pair: (-pair.severity, -pair.lot)))
        return [pair for _, pair in sorted(told, key=lambda one: (one[0], -one[1].severity, -one[1].lot))]

    def _choose(self, rollout: Rollout, pair: Disagreement) -> list[str]:
        """The ids that are out now, the pair's own among them where it was not chosen."""
        model = self._settings().get(rollout.model)
        keep = model.record.keep if model else 0
        known = self._selections.get(rollout.model)
        if known is None or known[0] != rollout.id:
            known = self._selections[rollout.model] = (rollout.id, Selection(keep))
        selection = known[1]
        if not keep or len({*selection.findings, pair.finding}) > MOST_FINDINGS:
            return [pair.id]
        return selection.add(ranked(pair))
