"""What the tests of the store write into it, and how they open one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from gates.adapters.store import SqlStore
from gates.ports import Outbox, Store
from gates.rollout import Rollout
from gates.state import AuditRow, Commit, State, WorkerSample
from proxy.push import Sample
from proxy.snapshot import ModelRoute, Origin, Phase, Snapshot, Target
from proxy.window import Window
from tests.control import TERMS


class StoreAndOutbox(Store, Outbox, Protocol):
    def close(self) -> None: ...


@contextmanager
def opened(url: str, name: str = "") -> Iterator[SqlStore]:
    """A store, with its schema made."""
    store = SqlStore(url, name)
    store.load()
    try:
        yield store
    finally:
        store.close()


def snapshot(generation: int) -> Snapshot:
    return Snapshot(generation, (ModelRoute("m", "/m", Target("40", (Origin("127.0.0.1", 5040),)), epoch=generation),))


def row(generation: int, model: str = "m", event: str = "climb", reason: str = "because") -> AuditRow:
    return AuditRow(generation, 1_700_000_000.25, model, "r1", event, "ada", reason, "ramp", 2, '{"a": 1}')


def rollout(name: str = "r1", model: str = "m", candidate: str = "42", begun: int = 1) -> Rollout:
    return Rollout(name, model, "40", candidate, "ada", TERMS, Phase.SHADOW, begun=begun, epoch=begun, reason="größer")


def commit(generation: int, **changes: object) -> Commit:
    return replace(Commit(snapshot(generation), (row(generation),)), **changes)  # type: ignore[arg-type]


def sample(worker: str, epoch: int, sequence: int, answers: int = 1, model: str = "m") -> WorkerSample:
    window = Window()
    for _ in range(answers):
        window.candidate.observe(200, 0.01)
    return WorkerSample(worker, sequence, Sample(model, epoch, window))


def answers(state: State) -> dict[tuple[str, int], int]:
    return {(kept.worker, kept.sample.epoch): kept.sample.window.candidate.answers for kept in state.samples}
