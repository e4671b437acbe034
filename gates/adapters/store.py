"""The durable truth in SQL: SQLite beside the process, or PostgreSQL for control planes in a cluster.

All statements are the same for both; what differs, opening a connection and the upsert's class, stands in `_engine`
and `_INSERTS`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, Table, create_engine, delete, event, func, insert, make_url, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from gates.adapters import tables
from gates.decision import Rollout
from gates.ports import (
    UNROUTED,
    AuditRow,
    Commit,
    Errand,
    Serving,
    StageClock,
    StaleGeneration,
    State,
    StoreError,
    Trial,
    WorkerSample,
)
from proxy import snapshot as snapshots
from proxy.snapshot import Snapshot
from proxy.window import Sample, decode_window, encode_window

T = TypeVar("T")
Values = dict[str, Any]

BUSY_SECONDS = 1.0
CONNECT_SECONDS = 2
SNAPSHOTS_KEPT = 100

_INSERTS: dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


class SqlStore:
    """`gates.ports.Store` and `gates.ports.Outbox` over SQLAlchemy; it may be called from any thread.

    Nothing is opened before the first call. What grows is bounded: the newest 100 snapshots are kept, the windows and
    the clock of each model's newest rollout alone, and no errand that is done. Rollouts and audit rows, a few for each
    rollout, are kept for good.
    """

    def __init__(self, url: str) -> None:
        """Raises StoreError for a URL that names no known database or a driver that is not installed."""
        self._engine = _engine(url)
        self._insert = _INSERTS[self._engine.dialect.name]

    def load(self) -> State:
        with self._transaction() as db:
            _prepare(db)
            db.execute(select(tables.head).with_for_update(read=True))  # no commit between the reads that follow
            return State(
                snapshot=_newest_snapshot(db),
                servings=_rows(db, tables.servings, Serving),
                rollouts=_newest_rollouts(db),
                tried=_trials(db),
                clocks=_rows(db, tables.clocks, StageClock),
                samples=_samples(db),
            )

    def commit(self, commit: Commit) -> None:
        generation = commit.snapshot.generation
        with self._transaction() as db:
            advance = update(tables.head).where(tables.head.c.generation == generation - 1)
            if db.execute(advance.values(generation=generation)).rowcount != 1:
                raise StaleGeneration(f"generation {generation} does not follow the store's")
            self._write_snapshot(db, commit.snapshot)
            _add(db, tables.audit, [asdict(row) for row in commit.audit])
            _add(db, tables.errands, [{"kind": kind, "body": body} for kind, body in commit.errands])
            db.execute(delete(tables.servings).where(tables.servings.c.model.in_(commit.gone)))
            self._put(db, tables.servings, [asdict(serving) for serving in commit.servings])
            self._put(db, tables.rollouts, [_rollout_values(rollout) for rollout in commit.rollouts])
            for rollout in commit.rollouts:
                if rollout.begun == generation:
                    _drop_predecessors(db, rollout)

    def keep(self, samples: Sequence[WorkerSample], clocks: Sequence[StageClock]) -> int:
        windows, kept = tables.windows, tables.clocks
        with self._transaction() as db:
            self._put(db, windows, [_sample_values(sample) for sample in samples], newer="sequence")
            self._put(db, kept, [asdict(clock) for clock in clocks], newer="epoch")
            generation: int = db.execute(select(tables.head.c.generation)).scalar_one()
            return generation

    def history(self, model: str | None, limit: int) -> Sequence[AuditRow]:
        audit = tables.audit
        newest = select(audit).order_by(audit.c.id.desc()).limit(limit)
        with self._transaction() as db:
            rows = db.execute(newest if model is None else newest.where(audit.c.model == model)).mappings().all()
        return [AuditRow(**{name: value for name, value in row.items() if name != "id"}) for row in rows]

    def waiting(self) -> Sequence[Errand]:
        oldest = select(tables.errands).order_by(tables.errands.c.id)
        with self._transaction() as db:
            return [Errand(**row) for row in db.execute(oldest).mappings()]

    def done(self, errand: int) -> None:
        with self._transaction() as db:
            db.execute(delete(tables.errands).where(tables.errands.c.id == errand))

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """One transaction; whatever the database or a damaged row raises comes out as a StoreError."""
        try:
            with self._engine.begin() as db:
                yield db
        except (SQLAlchemyError, msgspec.MsgspecError, ValueError) as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(f"store {self._engine.url}: {cause}".strip()) from error

    def _write_snapshot(self, db: Connection, snapshot: Snapshot) -> None:
        kept = tables.snapshots
        _add(db, kept, [{"generation": snapshot.generation, "body": snapshots.encode(snapshot).decode()}])
        db.execute(delete(kept).where(kept.c.generation <= snapshot.generation - SNAPSHOTS_KEPT))

    def _put(self, db: Connection, table: Table, rows: Sequence[Values], newer: str | None = None) -> None:
        """Insert or replace by primary key; with `newer`, replace only where that column does not go back."""
        if not rows:
            return
        statement = self._insert(table)
        fresh = statement.excluded
        db.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key),
                set_={column.name: fresh[column.name] for column in table.c if not column.primary_key},
                where=None if newer is None else fresh[newer] >= table.c[newer],
            ),
            rows,
        )


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})
            event.listen(engine, "connect", _open_sqlite)
            event.listen(engine, "begin", _begin_immediate)
            return engine
        if parsed.get_backend_name() == "postgresql":
            return create_engine(parsed, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_SECONDS})
    except ImportError as error:
        raise StoreError(f"store: the database's driver is not installed: {error}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"store: {error}") from error
    raise StoreError(f"store: expected sqlite:///file or postgresql+psycopg://..., not {parsed.drivername}")


def _open_sqlite(connection: sqlite3.Connection, _: object) -> None:
    """A write-ahead log, so that a reader never holds up a commit; and `synchronous` at FULL, because NORMAL may forget
    the last commits when the machine loses power: a rollback that clients have seen must not be undone by that."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock first: a transaction that reads and then writes would fail, not wait, where another wrote
    between."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _prepare(db: Connection) -> None:
    tables.metadata.create_all(db)
    layout = db.execute(select(tables.head.c.layout)).scalar_one_or_none()
    if layout is None:
        _add(db, tables.head, [{"id": 1, "generation": 0, "layout": tables.SCHEMA}])
    elif layout != tables.SCHEMA:
        raise StoreError(f"the store has layout {layout}, this version of Penstock has {tables.SCHEMA}")


def _add(db: Connection, table: Table, rows: Sequence[Values]) -> None:
    if rows:
        db.execute(insert(table), rows)


def _rows(db: Connection, table: Table, into: type[T]) -> tuple[T, ...]:
    return tuple(into(**row) for row in db.execute(select(table)).mappings())


def _newest_snapshot(db: Connection) -> Snapshot:
    kept = tables.snapshots
    body = db.execute(select(kept.c.body).order_by(kept.c.generation.desc()).limit(1)).scalar_one_or_none()
    return UNROUTED if body is None else snapshots.decode(body)


def _newest_rollouts(db: Connection) -> tuple[Rollout, ...]:
    kept = tables.rollouts
    newest = select(kept.c.model, func.max(kept.c.begun).label("begun")).group_by(kept.c.model).subquery()
    here = (kept.c.model == newest.c.model) & (kept.c.begun == newest.c.begun)
    bodies = db.execute(select(kept.c.body).join(newest, here).order_by(kept.c.model)).scalars()
    return tuple(msgspec.json.decode(body, type=Rollout) for body in bodies)


def _trials(db: Connection) -> frozenset[Trial]:
    kept = tables.rollouts
    tried = select(kept.c.model, kept.c.champion, kept.c.candidate).distinct()
    return frozenset(Trial(**row) for row in db.execute(tried).mappings())


def _samples(db: Connection) -> tuple[WorkerSample, ...]:
    return tuple(
        WorkerSample(row.worker, row.sequence, Sample(row.model, row.epoch, decode_window(row.body.encode())))
        for row in db.execute(select(tables.windows))
    )


def _drop_predecessors(db: Connection, rollout: Rollout) -> None:
    """The windows and clocks of the model's earlier rollouts: nothing is decided by them any more."""
    windows, clocks, rollouts = tables.windows, tables.clocks, tables.rollouts
    db.execute(delete(windows).where(windows.c.model == rollout.model, windows.c.epoch < rollout.begun))
    earlier = select(rollouts.c.id).where(rollouts.c.model == rollout.model, rollouts.c.id != rollout.id)
    db.execute(delete(clocks).where(clocks.c.rollout.in_(earlier)))


def _rollout_values(rollout: Rollout) -> Values:
    return {
        "id": rollout.id,
        "model": rollout.model,
        "champion": rollout.champion,
        "candidate": rollout.candidate,
        "begun": rollout.begun,
        "body": msgspec.json.encode(rollout).decode(),
    }


def _sample_values(kept: WorkerSample) -> Values:
    return {
        "worker": kept.worker,
        "model": kept.sample.model,
        "epoch": kept.sample.epoch,
        "sequence": kept.sequence,
        "body": encode_window(kept.sample.window).decode(),
    }
