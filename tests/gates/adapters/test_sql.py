"""What only a database has: other processes, damage, an address, a file."""

from __future__ import annotations

import sqlite3
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from gates.adapters import tables
from gates.adapters.store import SNAPSHOTS_KEPT, SqlStore
from gates.ports import StaleGeneration, StoreError
from gates.state import State
from tests.gates.adapters.commits import commit, opened, rollout, row, snapshot
from tests.postgres import Postgres
from tests.servers import eventually


class TestSql:
    """What only a database has: other processes, damage, an address."""

    def test_a_store_is_found_again(self, url: str) -> None:
        with opened(url) as first, opened(url) as second:
            first.commit(commit(1, rollouts=(rollout(),)))
            assert second.load() == first.load()
            with pytest.raises(StaleGeneration):
                second.commit(commit(1))

    def test_of_those_who_race_for_a_generation_one_wins(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gates.adapters.database.BUSY_SECONDS", 30.0)  # whoever waits on a busy machine loses later
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

    def test_a_commit_that_another_cannot_end_is_given_up(
        self, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As of a controller that was stopped amid its commit; the server waits longer for that one."""
        monkeypatch.setattr("gates.adapters.database.BUSY_SECONDS", 0.1)
        monkeypatch.setattr("gates.adapters.database.IDLE_SECONDS", 8.0)
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
        with opened(f"sqlite:///{tmp_path}/p.db") as store, store._transaction() as db:
            assert db.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
            assert db.execute(text("PRAGMA synchronous")).scalar_one() == 2

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

    @pytest.mark.parametrize("others", ["SELECT * FROM sqlite_master", "CREATE TABLE theirs (a)"])
    def test_who_opens_it_waits_for_others_longer_than_for_a_commit(
        self, others: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that reads is in the way of the write-ahead log alone, and SQLite does not wait for it."""
        monkeypatch.setattr("gates.adapters.database.BUSY_SECONDS", 0.05)
        store = SqlStore(f"sqlite:///{tmp_path}/p.db")
        with closing(sqlite3.connect(tmp_path / "p.db", isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
            other.execute("CREATE TABLE theirs_too (a)")
            other.execute("BEGIN")
            other.execute(others).fetchall()
            loaded = pool.submit(store.load)
            time.sleep(0.3)
            assert not loaded.done()
            other.execute("COMMIT")
            assert loaded.result() == State()
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
