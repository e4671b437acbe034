"""One suite for the store and for its fake: what holds for the one holds for the other."""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given, settings
from sqlalchemy import func, select, text

from gates.adapters import tables
from gates.adapters.store import SNAPSHOTS_KEPT, SqlStore
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
from gates.rollout import Rollout
from proxy.snapshot import ModelRoute, Origin, Phase, Snapshot, Target
from proxy.window import Sample, Window
from tests.control import TERMS
from tests.fakes import MemoryStore
from tests.postgres import Postgres
from tests.servers import eventually
from tests.strategies import snapshots, windows


class StoreAndOutbox(Store, Outbox, Protocol):
    def close(self) -> None: ...


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that nothing was ever done in."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/penstock.db"
        return
    with request.getfixturevalue("postgres").database() as made:
        yield made


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreAndOutbox]:
    with ExitStack() as stack:
        match request.param:
            case "memory":
                yield MemoryStore()
            case "sqlite":
                yield stack.enter_context(opened(f"sqlite:///{tmp_path}/penstock.db"))
            case "postgresql":
                made = stack.enter_context(request.getfixturevalue("postgres").database())
                yield stack.enter_context(opened(made))


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
    moved = StageClock("r1", 2, 8.5, 9.5, '[{"gate": "errors", "rate": 0.1}]')
    store.keep([], [moved])
    assert moved in store.load().clocks


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


def test_a_note_is_a_row_under_the_generation_that_is(store: StoreAndOutbox) -> None:
    store.commit(commit(1))
    before = store.load()
    store.note(row(0, model="", event="reload_refused"))
    assert [(each.event, each.generation) for each in store.history(None, 10)] == [("reload_refused", 1), ("climb", 1)]
    assert store.load() == before
    store.commit(commit(2))


def test_who_asks_first_leads(store: StoreAndOutbox) -> None:
    assert store.lead(60) == store.name
    store.resign()
    assert store.lead(60) == store.name


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
    """What only a database has: other processes, damage, an address."""

    def test_a_store_is_found_again(self, url: str) -> None:
        with opened(url) as first, opened(url) as second:
            first.commit(commit(1, rollouts=(rollout(),)))
            assert second.load() == first.load()
            with pytest.raises(StaleGeneration):
                second.commit(commit(1))

    def test_of_those_who_race_for_a_generation_one_wins(self, url: str) -> None:
        with opened(url) as a, opened(url) as b, opened(url) as c:
            for generation in range(1, 6):
                with ThreadPoolExecutor(3) as pool:
                    races = [pool.submit(store.commit, commit(generation)) for store in (a, b, c)]
                lost = [error for race in races if (error := race.exception()) is not None]
                assert [type(error) for error in lost] == [StaleGeneration] * 2
            assert [kept.generation for kept in a.history(None, 10)] == [5, 4, 3, 2, 1]

    def test_of_those_who_open_a_new_store_at_once_all_find_one(self, url: str) -> None:
        stores = [SqlStore(url, f"s{number}") for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda store: store.load(), stores)) == {State()}
        for store in stores:
            store.close()

    def test_old_snapshots_are_dropped(self, url: str) -> None:
        with opened(url) as store:
            for generation in range(1, SNAPSHOTS_KEPT + 4):
                store.commit(commit(generation))
            with store._transaction() as db:
                assert db.execute(select(func.count()).select_from(tables.snapshots)).scalar_one() == SNAPSHOTS_KEPT

    def test_a_damaged_row_is_a_store_error(self, url: str) -> None:
        with opened(url) as store:
            store.commit(commit(1))
            with store._transaction() as db:
                db.execute(tables.snapshots.update().values(body='{"generation": -1}'))
            with pytest.raises(StoreError):
                store.load()

    def test_one_holds_the_lease_until_it_resigns_or_it_runs_out(self, url: str) -> None:
        with opened(url, "a") as a, opened(url, "b") as b:
            assert (a.lead(60), b.lead(60), a.lead(60)) == ("a", "a", "a")
            b.resign()
            assert b.lead(60) == "a", "nobody gives up what another holds"
            a.resign()
            assert (b.lead(0), b.lead(60), a.lead(60)) == ("b", "b", "b")
            assert b.lead(0.05) == "b"
            eventually(lambda: a.lead(60) == "a")

    def test_a_lease_that_a_wrong_clock_has_set_holds_up_nobody(self, url: str) -> None:
        with opened(url, "a") as a, opened(url, "b") as b:
            a.lead(3600)
            assert b.lead(3) == "b"

    def test_who_has_lost_the_lease_notes_nothing(self, url: str) -> None:
        with opened(url, "first") as first, opened(url, "second") as second:
            assert first.lead(60) == "first"
            with pytest.raises(StaleGeneration):
                second.note(row(0))
            first.note(row(0))
            assert len(first.history(None, 10)) == 1

    def test_who_has_lost_the_lease_commits_rollbacks_alone(self, url: str) -> None:
        with opened(url, "a") as a, opened(url, "b") as b:
            a.lead(0)
            a.commit(commit(1))
            b.lead(60)
            with pytest.raises(StaleGeneration):
                a.commit(commit(2))
            a.commit(commit(2, audit=(row(2, event="roll_back"),)))
            b.commit(commit(3))
            assert [kept.event for kept in b.history(None, 9)] == ["climb", "roll_back", "climb"]

    def test_a_commit_that_another_cannot_end_is_given_up(self, postgres: Postgres) -> None:
        """As of a controller that was stopped amid its commit."""
        with postgres.database() as url, opened(url, "a") as a, opened(url, "b") as b:
            with suppress(StoreError), a._transaction() as db:
                db.execute(tables.head.update().values(generation=1))
                with pytest.raises(StoreError, match="lock timeout"):
                    b.commit(commit(1))
                eventually(lambda: _succeeds(lambda: b.commit(commit(1))))
            assert a.load().snapshot == snapshot(1)

    @pytest.mark.parametrize("url", ["mysql://h/d", "redis://h", "penstock.db", "postgresql+nodriver://h/d"])
    def test_a_url_of_something_else_is_a_store_error(self, url: str) -> None:
        with pytest.raises(StoreError):
            SqlStore(url)

    @pytest.mark.parametrize(
        "url",
        [
            "sqlite://ada:s3%40cret@host/p.db",
            "mysql://ada:s3%40cret@host/p",
            "postgresql+psycopg://ada:s3%40cret@127.0.0.1:1/p",
            "postgresql+psycopg://ada@127.0.0.1:1/p?password=s3%40cret",
            "postgresql+psycopg://ada@127.0.0.1:1/p?sslpassword=s3%40cret&nonsense=1",
            "postgresql+psycopg://ada:s3%40cret@127.0.0.1:port/p",
            "postgresql+psycopg://ada:s3%40cret@127.0.0.1:1/p?connect_timeout=s3%40cret",
        ],
    )
    def test_no_password_is_told(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(StoreError) as caught:
            SqlStore(url).load()
        told = "".join(traceback.format_exception(caught.value)) + caplog.text
        assert "s3@cret" not in told
        assert "s3%40cret" not in told

    def test_a_password_that_the_server_refuses_is_not_told(self, postgres: Postgres) -> None:
        with pytest.raises(StoreError, match='role "ada" does not exist') as caught:
            SqlStore(f"postgresql+psycopg://ada:s3cret@/postgres?host={postgres.folder}").load()
        assert "s3cret" not in str(caught.value)


class TestSqlite:
    """What only a file has."""

    def test_the_database_is_durable_and_lets_readers_be(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path}/p.db")
        with store._transaction() as db:
            assert db.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
            assert db.execute(text("PRAGMA synchronous")).scalar_one() == 2
        store.close()

    def test_a_locked_database_is_a_store_error_that_changes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gates.adapters.database.BUSY_SECONDS", 0.05)
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

    def test_a_file_that_cannot_be_opened_is_a_store_error(self, tmp_path: Path) -> None:
        store = SqlStore(f"sqlite:///{tmp_path}/nowhere/p.db")
        with pytest.raises(StoreError, match="unable to open"):
            store.load()


def _succeeds(act: Callable[[], object]) -> bool:
    try:
        act()
    except StoreError:
        return False
    return True
