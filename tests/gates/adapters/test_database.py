"""What PostgreSQL does to a transaction that rests or waits, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text

from gates.adapters import migrations
from gates.adapters.database import TRIES, Undone
from gates.adapters.outcomes import SqlOutcomes
from gates.adapters.store import SqlStore
from gates.evidence import Moments
from gates.ports import StaleGeneration, StoreError
from gates.state import State
from tests.gates.adapters.commits import commit, opened, row, snapshot
from tests.gates.adapters.test_outcomes import joined
from tests.postgres import Postgres

IDLE = 1.0


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database() as made:
        yield made


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    with opened(url, "a") as store:
        yield store


Rest = Callable[..., None]


@pytest.fixture
def rest(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rest]:
    """Rests for too long before a statement that begins as is said, like a process that is stopped there; from when
    that is said on, no transaction may rest for longer than IDLE."""
    before, left, then = "", 0, list[Callable[[], object]]()

    def on_statement(connection: object, cursor: object, statement: str, *more: object) -> None:
        nonlocal left
        if left and statement.startswith(before):
            left -= 1
            time.sleep(2 * IDLE)
            for act in then:
                act()

    def arm(statement: str, *meanwhile: Callable[[], object], times: int = 1) -> None:
        nonlocal before, left
        monkeypatch.setattr("gates.adapters.database.IDLE_SECONDS", IDLE)
        before, left = statement, times
        then.extend(meanwhile)

    event.listen(Engine, "before_cursor_execute", on_statement)
    yield arm
    event.remove(Engine, "before_cursor_execute", on_statement)


def test_a_commit_that_rested_is_made_again_and_once(
    store: SqlStore, rest: Rest, caplog: pytest.LogCaptureFixture
) -> None:
    rest("INSERT INTO audit")
    store.commit(commit(1, errands=(("begin", "{}"),)))
    assert store.load().snapshot == snapshot(1)
    assert list(store.history(None, 10)) == [row(1)]
    assert len(store.waiting()) == 1
    assert "made again" in caplog.text
    assert "was stopped" in caplog.text


def test_what_was_lost_meanwhile_stays_lost(store: SqlStore, rest: Rest, url: str) -> None:
    store.lead(0)
    with opened(url, "b") as other:
        rest("INSERT INTO snapshots", lambda: other.lead(60))
        with pytest.raises(StaleGeneration):
            store.commit(commit(1))
    assert not store.history(None, 10)


def test_one_that_always_rests_says_so_in_the_end(store: SqlStore, rest: Rest) -> None:
    rest("INSERT INTO snapshots", times=TRIES)
    with pytest.raises(Undone, match="gives it no time"):
        store.commit(commit(1))
    store.commit(commit(1))
    assert list(store.history(None, 10)) == [row(1)]


def test_who_upgrades_waits_for_others_longer_than_for_a_commit(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gates.adapters.database.BUSY_SECONDS", 0.05)
    other, store = create_engine(url), SqlStore(url)
    with ThreadPoolExecutor(1) as pool:
        with other.begin() as db:
            db.execute(text(f"SELECT pg_advisory_xact_lock({migrations._LOCK})"))
            loaded = pool.submit(store.load)
            time.sleep(0.3)
            assert not loaded.done()
        assert loaded.result() == State()
    store.close()
    other.dispose()


@pytest.mark.parametrize("number", [2, 1_200])
def test_outcomes_are_counted_once_all_the_same(rest: Rest, url: str, number: int) -> None:
    """Many of them are more than a connection takes in that the server has closed."""
    with closing(SqlOutcomes(url)) as outcomes:
        rest("INSERT INTO outcomes")
        assert outcomes.add("m", [joined(str(each), 1.0) for each in range(number)], ["r1"]) == number
        assert outcomes.tally("r1")["correct"]["champion"] == Moments(number, 1.0, 0.0)


def test_a_connection_that_is_lost_at_the_commit_leaves_all_open(store: SqlStore, postgres: Postgres) -> None:
    """It may have been made, so it is not made again."""
    name = "a connection to be lost"

    def lose(connection: Connection) -> None:
        connection.exec_driver_sql(f"SET application_name = '{name}'")
        ended = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
        postgres.execute(f"{ended} WHERE application_name = '{name}'")

    event.listen(store._database.engine, "commit", lose, once=True)
    with pytest.raises(StoreError) as caught:
        store.commit(commit(1))
    assert not isinstance(caught.value, Undone)
    assert not store.history(None, 10)
