"""The ends that the control plane's ports have in tests: a clock that is told the time, a store and a registry in
memory that can be told to fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from gates.alerts import CONDITIONS, Alert, AlertKey, ended
from gates.ports import MetricsError, NotifyError, RegistryError, RolloutFacts, StaleGeneration, StoreError
from gates.promotion.series import Series
from gates.rollout import Rollout
from gates.state import AuditRow, Commit, Errand, Recorded, Serving, StageClock, State, Trial, WorkerSample
from proxy.snapshot import Snapshot

HANG = 150.0
"""Seconds that a call hangs at most, more than any test waits for it."""


@dataclass
class FakeClock:
    """Both clocks stand still until `advance`; wall time may also be set to anything."""

    seconds: float = 1000.0
    now: float = 1_700_000_000.0

    def monotonic(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        self.now += seconds


@dataclass
class MemoryStore:
    """`gates.ports.Store` and `Outbox` by the same laws as the real one, which tests/gates/adapters/test_store.py holds
    both to. While `broken` is set every call fails with it; while `gate` is clear every call hangs.

    It has one name, so that all who share it are one holder; its leases run out only by `resign`."""

    name: str = ""
    holder: str = ""
    broken: str = ""
    gate: threading.Event = field(default_factory=threading.Event)
    audit: list[AuditRow] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list)
    rollouts: dict[str, Rollout] = field(default_factory=dict)
    servings: dict[str, Serving] = field(default_factory=dict)
    snapshot: Snapshot = field(default_factory=lambda: State().snapshot)
    windows: dict[tuple[str, str, int], WorkerSample] = field(default_factory=dict)
    clocks: dict[str, StageClock] = field(default_factory=dict)
    disagreements: dict[str, Recorded] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.gate.set()

    def load(self) -> State:
        self._answer()
        newest: dict[str, Rollout] = {}
        for rollout in sorted(self.rollouts.values(), key=lambda rollout: rollout.begun):
            newest[rollout.model] = rollout
        return State(
            self.snapshot,
            tuple(self.servings.values()),
            tuple(newest.values()),
            frozenset(Trial(r.model, r.champion, r.candidate) for r in self.rollouts.values()),
            tuple(self.clocks.values()),
            tuple(self.windows.values()),
        )

    def lead(self, seconds: float) -> str:
        self._answer()
        self.holder = self.holder or self.name
        return self.holder

    def resign(self) -> None:
        self._answer()
        if self.holder == self.name:
            self.holder = ""

    def commit(self, commit: Commit) -> None:
        self._answer()
        generation = commit.snapshot.generation
        if self.snapshot.generation != generation - 1 or (commit.fenced and self.holder not in ("", self.name)):
            raise StaleGeneration(f"generation {generation} does not follow {self.snapshot.generation}")
        self.snapshot = commit.snapshot
        self.audit.extend(commit.audit)
        self.errands.extend(Errand(next(self.numbers), kind, body) for kind, body in commit.errands)
        for model in commit.gone:
            self.servings.pop(model, None)
        self.servings.update({serving.model: serving for serving in commit.servings})
        self.rollouts.update({rollout.id: rollout for rollout in commit.rollouts})
        for rollout in commit.rollouts:
            if rollout.begun == generation:
                self._drop_predecessors(rollout)

    def keep(self, samples: Sequence[WorkerSample], clocks: Sequence[StageClock]) -> int:
        self._answer()
        for sample in samples:
            key = (sample.worker, sample.sample.model, sample.sample.epoch)
            if key not in self.windows or self.windows[key].sequence <= sample.sequence:
                self.windows[key] = sample
        for clock in clocks:
            if clock.rollout not in self.clocks or self.clocks[clock.rollout].epoch <= clock.epoch:
                self.clocks[clock.rollout] = clock
        return self.snapshot.generation

    def record(self, pairs: Sequence[Recorded], out: Sequence[str]) -> None:
        self._answer()
        self.disagreements.update({pair.id: pair for pair in pairs})
        for gone in out:
            self.disagreements.pop(gone, None)

    def recorded(self, rollout: str) -> Sequence[Recorded]:
        self._answer()
        return [pair for pair in self.disagreements.values() if pair.rollout == rollout]

    def expire(self, model: str, before: float) -> None:
        self._answer()
        kept = self.disagreements
        self.disagreements = {id: pair for id, pair in kept.items() if pair.model != model or pair.at >= before}

    def note(self, row: AuditRow) -> None:
        self._answer()
        if self.holder not in ("", self.name):
            raise StaleGeneration("another acts by now")
        self.audit.append(replace(row, generation=self.snapshot.generation))

    def history(self, model: str | None, limit: int, since: int = 0) -> Sequence[AuditRow]:
        self._answer()
        newest = [row for row in reversed(self.audit) if model in (None, row.model)][:limit]
        return [row for row in newest if row.generation >= since]

    def waiting(self) -> Sequence[Errand]:
        self._answer()
        return list(self.errands)

    def done(self, errand: int) -> None:
        self._answer()
        self.errands = [waiting for waiting in self.errands if waiting.id != errand]

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self) -> None:
        assert self.gate.wait(HANG)
        if self.broken:
            raise StoreError(self.broken)

    def _drop_predecessors(self, rollout: Rollout) -> None:
        self.windows = {
            key: sample
            for key, sample in self.windows.items()
            if sample.sample.model != rollout.model or sample.sample.epoch >= rollout.begun
        }
        self.clocks = {
            name: clock
            for name, clock in self.clocks.items()
            if name == rollout.id or name not in self.rollouts or self.rollouts[name].model != rollout.model
        }


@dataclass
class FakeRegistry:
    """`gates.ports.Registry` that remembers what it was told, and knows the aliases it was given.

    `trouble` answers, for each call, what is wrong with it ("" for nothing)."""

    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    trouble: Callable[[str, str], str] = lambda act, model: ""
    told: list[tuple[str, RolloutFacts, tuple[object, ...]]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def resolve(self, model: str, reference: str) -> str:
        self.asked.append((model, reference))
        self._fail("resolve", model)
        if (model, reference) not in self.aliases:
            raise RegistryError(f"model {model} has no {reference}")
        return self.aliases[model, reference]

    def begin(self, facts: RolloutFacts, parameters: Mapping[str, str], by: str, at: float) -> None:
        self._tell("begin", facts, parameters, by, at)

    def measure(self, facts: RolloutFacts, figures: Mapping[str, float], at: float) -> None:
        self._tell("measure", facts, figures, at)

    def exhibit(self, facts: RolloutFacts, pairs: Sequence[Recorded], at: float) -> None:
        self._tell("exhibit", facts, pairs, at)

    def finish(
        self,
        facts: RolloutFacts,
        outcome: str,
        by: str,
        reason: str,
        at: float,
        decisions: Sequence[Mapping[str, object]],
    ) -> None:
        self._tell("finish", facts, outcome, by, reason, at, decisions)

    def certify(self, facts: RolloutFacts, record: Mapping[str, object], at: float) -> None:
        self._tell("certify", facts, record, at)

    def revert(self, facts: RolloutFacts, by: str, reason: str, at: float) -> None:
        self._tell("revert", facts, by, reason, at)

    @property
    def acts(self) -> list[str]:
        return [act for act, _, _ in self.told]

    def _tell(self, act: str, facts: RolloutFacts, *rest: object) -> None:
        self._fail(act, facts.model)
        self.told.append((act, facts, rest))

    def _fail(self, act: str, model: str) -> None:
        if trouble := self.trouble(act, model):
            raise RegistryError(trouble)


@dataclass
class FakeNotifier:
    """`gates.ports.Notifier` that remembers what it sent. `trouble` answers, for each channel, what is wrong with it;
    while `gate` is clear every call hangs."""

    trouble: Callable[[str], str] = lambda channel: ""
    sent: list[tuple[str, Alert]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def send(self, channel: str, alert: Alert) -> None:
        assert self.gate.wait(HANG)
        if trouble := self.trouble(channel):
            raise NotifyError(trouble)
        self.sent.append((channel, alert))


@dataclass
class FakeAlertLog:
    """`gates.ports.AlertLog` in memory. While `broken` is set every call fails with it."""

    rows: dict[AlertKey, float] = field(default_factory=dict)
    broken: str = ""

    def told(self) -> Mapping[AlertKey, float]:
        self._answer()
        return dict(self.rows)

    def tell(self, key: AlertKey, at: float, before: float) -> None:
        self._answer()
        if (begun := ended(key)) is None:
            rows = {**self.rows, key: at}
        else:
            rows = {known: at for known, at in self.rows.items() if known != begun}
        # at once: tests look at them while a thread writes
        self.rows = {key: at for key, at in rows.items() if at >= before or key.name in CONDITIONS}

    def _answer(self) -> None:
        if self.broken:
            raise StoreError(self.broken)


class FakeMetrics:
    """A metrics server that says by query what it is told to; one that is not `free` answers nothing until it is."""

    name = "Prometheus at http://metrics.test"

    def __init__(self, **answers: float | None) -> None:
        """A value is the newest point of one series, None an answer without any."""
        self.answers = answers
        self.trouble = ""
        self.free = threading.Event()
        self.free.set()
        self.called = threading.Event()
        self.asked = 0

    def series(self, query: str, seconds: float, at: float) -> Sequence[Series]:
        self.asked += 1
        self.called.set()
        assert self.free.wait(HANG)
        if self.trouble:
            raise MetricsError(self.trouble)
        value = self.answers.get(query)
        return [] if value is None else [Series.of({}, [(at, value)])]
