"""What differs between SQLite and PostgreSQL, and what a URL of either may give away: engines, clocks, upserts, ends of
transactions, passwords."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote_plus

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Table,
    create_engine,
    event,
    literal_column,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from gates.ports import StoreError

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("penstock.control")

BUSY_SECONDS = 1.0
UPGRADE_SECONDS = 30.0
"""For whoever makes or upgrades the schema just now: that may take longer than any commit."""
CONNECT_SECONDS = 2
IDLE_SECONDS = 2.0
"""What a transaction may rest: a controller that is stopped amid a commit must not hold up the one that takes over."""
TRIES = 3

_POSTGRES: Mapping[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "tcp_user_timeout": 5_000,  # milliseconds until a server that is out of reach is given up
    "application_name": "penstock",
}
_INSERTS: Mapping[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
_NOW: Mapping[str, ColumnElement[float]] = {
    "sqlite": literal_column("(julianday('now') - 2440587.5) * 86400.0", Float),
    "postgresql": literal_column("extract(epoch FROM clock_timestamp())::float8", Float),
}
_SECRETS = ("password", "sslpassword")
"""The options of a URL's query that the driver takes secrets from."""
_ENDED_AT_REST = "25P03"
"""PostgreSQL's idle_in_transaction_session_timeout: it comes before any COMMIT is read."""
_UPGRADES = "upgrades"
"""The option of an engine whose transactions make the store what all others find."""


class Undone(StoreError):
    """The connection was lost before the transaction's COMMIT: nothing of it was done."""


@dataclass(frozen=True, slots=True)
class Database:
    """An engine that has opened nothing yet. `insert` makes a statement that can upsert, `now` is the seconds since the
    epoch by the database's clock."""

    engine: Engine
    insert: Callable[[Table], sqlite.Insert | postgresql.Insert]
    now: ColumnElement[float]

    @property
    def missing(self) -> bool:
        """Whether it is a file that is not there: connecting would make it."""
        file = self.engine.url.database
        return self.engine.dialect.name == "sqlite" and not (file and Path(file).is_file())

    def upgrading(self) -> AbstractContextManager[Connection]:
        """The transaction that brings the schema up to date; it waits for whoever else does so just now."""
        return self.engine.execution_options(**{_UPGRADES: True}).begin()

    def failure(self, error: Exception | str) -> StoreError:
        """What went wrong, in a line that names the store and tells no password."""
        return _failure(self.engine.url, error)


def database(url: str) -> Database:
    """Raises StoreError for a URL that names no known database or a driver that is not installed."""
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        raise StoreError("store: expected sqlite:///file or postgresql+psycopg://user@host/database") from None
    try:
        engine = _engine(parsed)
    except ImportError as error:
        raise StoreError(f"store: the database's driver is not installed: {error}") from None
    except (SQLAlchemyError, TypeError) as error:
        raise _failure(parsed, error) from None
    return Database(engine, _INSERTS[engine.dialect.name], _NOW[engine.dialect.name])


def retried(act: Callable[P, T]) -> Callable[P, T]:
    """Of what is one transaction: do it again from its beginning where its connection was lost amid it.

    A process that was stopped, or that a busy machine gave no time, has its transaction ended by PostgreSQL, and is no
    reason to fail. What it has lost meanwhile, such as the lease, the transaction finds out when it is made again."""

    @wraps(act)
    def again(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(TRIES - 1):
            try:
                return act(*args, **kwargs)
            except Undone as error:
                logger.warning("a transaction is made again: %s", error)
        return act(*args, **kwargs)

    return again


def _engine(url: URL) -> Engine:
    match url.get_backend_name():
        case "sqlite":
            engine = create_engine(url, connect_args={"isolation_level": None})
            event.listen(engine, "begin", _begin_immediate)
            return engine
        case "postgresql":
            engine = create_engine(url, pool_pre_ping=True, connect_args=dict(_POSTGRES))
            event.listen(engine, "begin", _bound_waits)
            return engine
    raise StoreError(f"store: expected sqlite:///file or postgresql+psycopg://..., not {url.drivername}")


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock first: a transaction that reads and then writes would fail, not wait, where another wrote
    between. `synchronous` is FULL, because NORMAL may forget the last commits when the machine loses power: a rollback
    that clients have seen must not be undone by that."""
    upgrades = connection.get_execution_options().get(_UPGRADES, False)
    patience = UPGRADE_SECONDS if upgrades else BUSY_SECONDS
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(patience * 1000)}")
    connection.exec_driver_sql("PRAGMA synchronous = FULL")
    if upgrades:
        _write_ahead(connection, time.monotonic() + patience)
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _write_ahead(connection: Connection, deadline: float) -> None:
    """A log that the file keeps for good, so that a reader never holds up a commit. Of those who ask for it at once
    SQLite refuses some without any wait."""
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _is_busy(error: OperationalError) -> bool:
    return isinstance(error.orig, sqlite3.Error) and error.orig.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _bound_waits(connection: Connection) -> None:
    """Neither wait long for another's lock nor be waited for; in each transaction, for a pooler may give each of them
    another session."""
    idle, lock = int(IDLE_SECONDS * 1000), int(BUSY_SECONDS * 1000)
    connection.exec_driver_sql(
        f"SELECT set_config('idle_in_transaction_session_timeout', '{idle}', true), "
        f"set_config('lock_timeout', '{lock}', true)"
    )


def _failure(url: URL, error: Exception | str) -> StoreError:
    """Drivers take passwords from the query too, and some errors quote what they were given."""
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    if _ended_at_rest(error):
        text += f": this process was stopped for {IDLE_SECONDS:g} s, or the machine gives it no time"
    kind = Undone if _ended_at_rest(error) or _lost_amid_statement(error) else StoreError
    return kind(f"store {url.set(query={}).render_as_string(hide_password=True)}: {text}")


def _ended_at_rest(error: Exception | str) -> bool:
    return getattr(getattr(error, "orig", None), "sqlstate", None) == _ENDED_AT_REST


def _lost_amid_statement(error: Exception | str) -> bool:
    """And not at a COMMIT, which is none of our statements. A large statement that cannot be sent is all that shows of
    the server's word that it has ended the session."""
    return isinstance(error, DBAPIError) and error.connection_invalidated and error.statement is not None


def _secrets(url: URL) -> list[str]:
    """The longest first, as they are and as a URL has them."""
    options = [value for name in _SECRETS for value in url.normalized_query.get(name, ())]
    plain = {str(url.password or ""), *options} - {""}
    return sorted(plain | {quote_plus(secret) for secret in plain}, key=len, reverse=True)
