"""One suite for the store and for its fake: what holds for the one holds for the other."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest
from hypothesis import given, settings
from sqlalchemy import create_engine, text

from gates.adapters import tables
from gates.adapters.store import SNAPSHOTS_KEPT, SqlStore
from gates.decision import Rollout
from gates.ports import (
    AuditRow,
    Commit,
    Outbox,
    Serving,
    StageClock,
    StaleGeneration,
    State,
    Store,
    StoreError,
    Trial,
    WorkerSample,
)
from proxy.snapshot import ModelRoute, Origin, Phase, Snapshot, Target
from proxy.window import Sample, Window
from tests.control import TERMS
from tests.fakes import MemoryStore
from tests.strategies import snapshots, windows

POSTGRES = os.environ.get("PENSTOCK_TEST_POSTGRES")
"""The URL of a PostgreSQL server's database for the same suite; each test gets a schema of its own."""


class StoreAndOutbox(Store, Outbox, Protocol):
    def close(self) -> None: ...


@pytest.fixture(params=["memory", "sqlite", *(["postgresql"] if POSTGRES else [])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreAndOutbox]:
    if request.param == "memory":
        yield MemoryStore()
        return
    url = f"sqlite:///{tmp_path}/penstock.db"
    schema = f"test_{uuid4().hex}"
    if request.param == "postgresql":
        _on_postgres(f"CREATE SCHEMA {schema}")
        url = f"{POSTGRES}?options=-csearch_path%3D{schema}"
    opened = SqlStore(url)
    opened.load()
    yield opened
    opened.close()
    if request.param == "postgresql":
        _on_postgres(f"DROP SCHEMA {schema} CASCADE")


def _on_postgres(statement: str) -> None:
    engine = create_engine(POSTGRES or "")
    with engine.begin() as db:
        db.execute(text(statement))
    engine.dispose()


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


def test_an_empty_store_is_the_empty_state(store: StoreAndOutbox) -> None:
    assert store.load() == State()
    assert list(store.history(None, 10)) == []
    assert list(store.waiting()) == []


def test_a_commit_is_there_whole(store: StoreAndOutbox) -> None:
    serving = Serving("m", "40", "@champion", 1)
    store.commit(commit(1, rollouts=(rollout(),), servings=(serving,), errands=(("begin", "{}"),)))
    state = store.load()
    assert state.snapshot == snapshot(1)
    assert (state.servings, state.rollouts) == ((serving,), (rollout(),))
    assert state.tried == {Trial("m", "40", "42")}
    assert list(store.history("m", 10)) == [row(1)]
    assert [(errand.kind, errand.body) for errand in store.waiting()] == [("begin", "{}")]


@pytest.mark.parametrize("generation", [0, 1, 3])
def test_a_commit_that_does_not_follow_is_refused_whole(store: StoreAndOutbox, generation: int) -> None:
    store.commit(commit(1))
    before = store.load()
    with pytest.raises(StaleGeneration):
        store.commit(commit(generation, rollouts=(rollout(),), errands=(("begin", "{}"),)))
    assert store.load() == before
    assert list(store.history(None, 10)) == [row(1)]
    assert list(store.waiting()) == []


def test_a_later_commit_replaces_servings_and_rollouts_by_their_names(store: StoreAndOutbox) -> None:
    store.commit(commit(1, rollouts=(rollout(),), servings=(Serving("m", "40", "40", 1), Serving("n", "1", "1", 1))))
    ended = replace(rollout(), phase=Phase.PROMOTED, epoch=2)
    store.commit(commit(2, rollouts=(ended,), servings=(Serving("m", "42", "40", 2),), gone=("n",)))
    assert (store.load().servings, store.load().rollouts) == ((Serving("m", "42", "40", 2),), (ended,))


def test_each_models_newest_rollout_is_loaded_and_all_trials(store: StoreAndOutbox) -> None:
    store.commit(commit(1, rollouts=(rollout(), rollout("other", "n"))))
    store.commit(commit(2, rollouts=(rollout("r2", candidate="43", begun=2),)))
    state = store.load()
    assert {kept.id for kept in state.rollouts} == {"r2", "other"}
    assert state.tried == {Trial("m", "40", "42"), Trial("m", "40", "43"), Trial("n", "40", "42")}


def test_a_newer_window_replaces_an_older_one_and_never_the_other_way(store: StoreAndOutbox) -> None:
    store.keep([sample("w1", 1, sequence=2, answers=20), sample("w2", 1, sequence=1, answers=1)], [])
    store.keep([sample("w1", 1, sequence=1, answers=10)], [])
    assert answers(store.load()) == {("w1", 1): 20, ("w2", 1): 1}
    store.keep([sample("w1", 1, sequence=3, answers=30), sample("w1", 2, sequence=3, answers=5)], [])
    assert answers(store.load()) == {("w1", 1): 30, ("w1", 2): 5, ("w2", 1): 1}


def test_an_earlier_stages_clock_never_replaces_a_later_ones(store: StoreAndOutbox) -> None:
    store.keep([], [StageClock("r1", 2, 7.5)])
    store.keep([], [StageClock("r1", 1, 900.0), StageClock("r2", 1, 1.0)])
    assert set(store.load().clocks) == {StageClock("r1", 2, 7.5), StageClock("r2", 1, 1.0)}
    store.keep([], [StageClock("r1", 2, 8.5)])
    assert StageClock("r1", 2, 8.5) in store.load().clocks


def test_keeping_tells_the_generation(store: StoreAndOutbox) -> None:
    assert store.keep([], []) == 0
    store.commit(commit(1))
    assert store.keep([sample("w1", 1, 1)], []) == 1


def test_a_rollout_that_begins_drops_what_was_kept_of_the_one_before(store: StoreAndOutbox) -> None:
    store.commit(commit(1, rollouts=(rollout(), rollout("other", "n"))))
    store.keep(
        [sample("w1", 1, 1), sample("w1", 2, 1), sample("w1", 1, 1, model="n")],
        [StageClock("r1", 1, 5.0), StageClock("other", 1, 6.0)],
    )
    store.commit(commit(2, rollouts=(replace(rollout(), phase=Phase.ROLLED_BACK, epoch=2),)))
    assert len(store.load().samples) == 3
    store.commit(commit(3, rollouts=(rollout("r2", candidate="43", begun=3),)))
    state = store.load()
    assert [kept.sample.model for kept in state.samples] == ["n"]
    assert state.clocks == (StageClock("other", 1, 6.0),)


def test_history_is_newest_first_of_one_model_or_of_all(store: StoreAndOutbox) -> None:
    for generation in range(1, 6):
        store.commit(commit(generation, audit=(row(generation, "m"), row(generation, "n"))))
    assert [(kept.generation, kept.model) for kept in store.history("n", 2)] == [(5, "n"), (4, "n")]
    assert [(kept.generation, kept.model) for kept in store.history(None, 3)] == [(5, "n"), (5, "m"), (4, "n")]


def test_errands_wait_in_order_until_they_are_done(store: StoreAndOutbox) -> None:
    store.commit(commit(1, errands=(("begin", "1"), ("finish", "2"))))
    store.commit(commit(2, errands=(("begin", "3"),)))
    first, second, third = store.waiting()
    assert [first.body, second.body, third.body] == ["1", "2", "3"]
    store.done(second.id)
    store.done(second.id)
    assert [errand.body for errand in store.waiting()] == ["1", "3"]
    store.commit(commit(3, errands=(("finish", "4"),)))
    assert [errand.body for errand in store.waiting()] == ["1", "3", "4"]


@given(snapshots(), windows())
@settings(max_examples=25, deadline=None)
def test_snapshots_and_windows_come_back_as_they_went(taken: Snapshot, window: Window) -> None:
    store = SqlStore("sqlite://")
    try:
        store.load()
        store.commit(Commit(replace(taken, generation=1), ()))
        store.keep([WorkerSample("w", 1, Sample("m", 1, window))], [])
        state = store.load()
        assert state.snapshot == replace(taken, generation=1)
        assert state.samples[0].sample.window == window
    finally:
        store.close()


class TestSql:
    """What only a database has: files, other processes, damage."""

    def test_a_store_is_found_again(self, tmp_path: Path) -> None:
        first, second = SqlStore(f"sqlite:///{tmp_path}/p.db"), SqlStore(f"sqlite:///{tmp_path}/p.db")
        first.load()
        first.commit(commit(1, rollouts=(rollout(),)))
        assert second.load() == first.load()
        with pytest.raises(StaleGeneration):
            second.commit(commit(1))
        first.close()
        second.close()

    def test_of_those_who_race_for_a_generation_one_wins(self, tmp_path: Path) -> None:
        stores = [SqlStore(f"sqlite:///{tmp_path}/p.db") for _ in range(3)]
        stores[0].load()
        for generation in range(1, 6):
            with ThreadPoolExecutor(len(stores)) as pool:
                races = [pool.submit(store.commit, commit(generation)) for store in stores]
            lost = [error for race in races if (error := race.exception()) is not None]
            assert [type(error) for error in lost] == [StaleGeneration] * 2
        assert [kept.generation for kept in stores[0].history(None, 10)] == [5, 4, 3, 2, 1]
        for store in stores:
            store.close()

    def test_the_database_is_durable_and_lets_readers_be(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path}/p.db")
        with store._transaction() as db:
            assert db.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
            assert db.execute(text("PRAGMA synchronous")).scalar_one() == 2
        store.close()

    def test_old_snapshots_are_dropped(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path}/p.db")
        store.load()
        for generation in range(1, SNAPSHOTS_KEPT + 4):
            store.commit(commit(generation))
        with sqlite3.connect(tmp_path / "p.db") as db:
            (number,) = db.execute("SELECT count(*) FROM snapshots").fetchone()
        db.close()
        assert number == SNAPSHOTS_KEPT
        store.close()

    def test_a_locked_database_is_a_store_error_that_changes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gates.adapters.store.BUSY_SECONDS", 0.05)
        store = SqlStore(f"sqlite:///{tmp_path}/p.db")
        store.load()
        other = sqlite3.connect(tmp_path / "p.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            store.commit(commit(1))
        other.execute("ROLLBACK")
        other.close()
        assert store.load() == State()
        store.commit(commit(1))
        store.close()

    def test_a_damaged_row_is_a_store_error(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path}/p.db")
        store.load()
        store.commit(commit(1))
        with store._transaction() as db:
            db.execute(tables.snapshots.update().values(body='{"generation": -1}'))
        with pytest.raises(StoreError):
            store.load()
        store.close()

    def test_a_layout_of_another_version_is_refused(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path}/p.db")
        store.load()
        with store._transaction() as db:
            db.execute(tables.head.update().values(layout=99))
        with pytest.raises(StoreError, match="layout 99"):
            store.load()
        store.close()

    def test_a_file_that_cannot_be_opened_is_a_store_error(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path}/nowhere/p.db")
        with pytest.raises(StoreError, match="unable to open"):
            store.load()

    @pytest.mark.parametrize("url", ["mysql://h/d", "redis://h", "penstock.db", "postgresql+nodriver://h/d"])
    def test_a_url_of_something_else_is_a_store_error(self, url: str) -> None:
        with pytest.raises(StoreError):
            SqlStore(url)

    def test_no_password_is_told(self) -> None:
        with pytest.raises(StoreError) as caught:
            SqlStore("sqlite://ada:s3cret@host/p.db")
        assert "s3cret" not in str(caught.value)
