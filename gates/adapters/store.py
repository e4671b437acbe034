"""The durable truth in SQL: SQLite beside the process, or PostgreSQL for control planes in a cluster.

All statements are the same for both; what differs stands in `database`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from typing import Any, TypeVar

import msgspec
from alembic.util import CommandError
from sqlalchemy import Connection, RowMapping, Table, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from gates.adapters import migrations, records, tables
from gates.adapters.database import database, retried
from gates.adapters.migrations import UnknownSchema
from gates.audit import Link, hash_of
from gates.ports import StaleGeneration
from gates.rollout import Rollout
from gates.state import UNROUTED, AuditRow, Commit, Errand, Recorded, Serving, StageClock, State, Trial, WorkerSample
from proxy import snapshot as snapshots
from proxy.push import Sample
from proxy.snapshot import Snapshot
from proxy.window import decode_window, encode_window

T = TypeVar("T")
Values = dict[str, Any]

SNAPSHOTS_KEPT = 100


class SqlStore:
    """`gates.ports.Store` and `gates.ports.Outbox` over SQLAlchemy; it may be called from any thread.

    Nothing is opened before the first call. What grows is bounded: the newest 100 snapshots are kept, the windows and
    the clock of each model's newest rollout alone, and no errand that is done. Rollouts and audit rows, a few for each
    rollout, are kept for good.
    """

    def __init__(self, url: str, name: str = "") -> None:
        """`name` tells this process from all others that may share the store.

        Raises StoreError for a URL that names no known database or a driver that is not installed."""
        self.name = name
        self._database = database(url)
        self._prepared = False

    @retried
    def lead(self, seconds: float) -> str:
        head, now = tables.head, self._database.now
        until = now + seconds
        # One that ends later than any could has been set by a clock that was wrong.
        free = (head.c.holder == self.name) | (head.c.until <= now) | (head.c.until > until)
        self._prepare()
        with self._transaction() as db:
            db.execute(update(head).where(free).values(holder=self.name, until=until))
            holder: str = db.execute(select(head.c.holder)).scalar_one()
            return holder

    @retried
    def resign(self) -> None:
        with self._transaction() as db:
            db.execute(update(tables.head).where(tables.head.c.holder == self.name).values(until=0.0))

    @retried
    def load(self) -> State:
        self._prepare()
        with self._transaction() as db:
            db.execute(select(tables.head).with_for_update(read=True))  # no commit between the reads that follow
            return State(
                snapshot=_newest_snapshot(db),
                servings=_rows(db, tables.servings, Serving),
                rollouts=_newest_rollouts(db),
                tried=_trials(db),
                clocks=_rows(db, tables.clocks, StageClock),
                samples=_samples(db),
            )

    @retried
    def commit(self, commit: Commit) -> None:
        head, generation = tables.head, commit.snapshot.generation
        follows = head.c.generation == generation - 1
        if commit.fenced:
            follows &= head.c.holder.in_(("", self.name))
        advance = update(head).where(follows).values(generation=generation).returning(head.c.audited)
        with self._transaction() as db:
            audited = db.execute(advance).scalar_one_or_none()
            if audited is None:
                raise StaleGeneration(f"generation {generation} does not follow the store's, or another acts by now")
            self._write_snapshot(db, commit.snapshot)
            _audit(db, commit.audit, audited)
            _add(db, tables.errands, [{"kind": kind, "body": body} for kind, body in commit.errands])
            db.execute(delete(tables.servings).where(tables.servings.c.model.in_(commit.gone)))
            self._put(db, tables.servings, [asdict(serving) for serving in commit.servings])
            self._put(db, tables.rollouts, [_rollout_values(rollout) for rollout in commit.rollouts])
            for rollout in commit.rollouts:
                if rollout.begun == generation:
                    _drop_predecessors(db, rollout)

    @retried
    def keep(self, samples: Sequence[WorkerSample], clocks: Sequence[StageClock]) -> int:
        windows, kept = tables.windows, tables.clocks
        with self._transaction() as db:
            self._put(db, windows, [_sample_values(sample) for sample in samples], newer="sequence")
            self._put(db, kept, [asdict(clock) for clock in clocks], newer="epoch")
            generation: int = db.execute(select(tables.head.c.generation)).scalar_one()
            return generation

    @retried
    def record(self, pairs: Sequence[Recorded], out: Sequence[str]) -> None:
        with self._transaction() as db:
            self._put(db, tables.disagreements, [records.values_of(pair) for pair in pairs])
            records.drop(db, out)

    @retried
    def recorded(self, rollout: str) -> Sequence[Recorded]:
        with self._transaction() as db:
            return records.of(db, rollout)

    @retried
    def expire(self, model: str, before: float) -> None:
        with self._transaction() as db:
            records.expire(db, model, before)

    @retried
    def note(self, row: AuditRow) -> None:
        head = tables.head
        ours = update(head).where(head.c.holder.in_(("", self.name))).values(generation=head.c.generation)
        with self._transaction() as db:
            found = db.execute(ours.returning(head.c.generation, head.c.audited)).one_or_none()
            if found is None:
                raise StaleGeneration("another acts by now")
            _audit(db, [replace(row, generation=found.generation)], found.audited)

    @retried
    def history(self, model: str | None, limit: int, since: int = 0) -> Sequence[AuditRow]:
        audit = tables.audit
        newest = select(audit.c.id).order_by(audit.c.id.desc()).limit(limit)
        if model is not None:
            newest = newest.where(audit.c.model == model)
        # Found by number first: a row holds all that its decision was made from, and is read only where it is wanted.
        wanted = audit.c.id.in_(select(newest.subquery().c.id)) & (audit.c.generation >= since)
        with self._transaction() as db:
            rows = db.execute(select(audit).where(wanted).order_by(audit.c.id.desc())).mappings().all()
        return [_audit_row(row) for row in rows]

    @retried
    def trail(self, after: int, limit: int) -> tuple[list[Link], str]:
        """The audit rows that follow number `after` (0: all), oldest first and `limit` at most, and the trail's head.

        For whoever only reads: nothing is made, and a store whose schema is another than ours is a StoreError."""
        audit = tables.audit
        oldest = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(limit)
        with self._transaction() as db:
            if (step := migrations.revision(db)) != migrations.newest():
                raise UnknownSchema(
                    f"its schema is at step {step}, not {migrations.newest()}: `penstock control` of "
                    "this version upgrades an older one when it starts"
                )
            # No commit between the two reads.
            audited: str = db.execute(select(tables.head.c.audited).with_for_update(read=True)).scalar_one()
            rows = db.execute(oldest).mappings()
            return [Link(row["id"], _audit_row(row), row["previous"], row["hash"]) for row in rows], audited

    @retried
    def waiting(self) -> Sequence[Errand]:
        oldest = select(tables.errands).order_by(tables.errands.c.id)
        with self._transaction() as db:
            return [Errand(**row) for row in db.execute(oldest).mappings()]

    @retried
    def done(self, errand: int) -> None:
        with self._transaction() as db:
            db.execute(delete(tables.errands).where(tables.errands.c.id == errand))

    def close(self) -> None:
        self._database.engine.dispose()

    def _transaction(self) -> AbstractContextManager[Connection]:
        return self._told(self._database.engine.begin())

    def _prepare(self) -> None:
        """Bring the schema to its newest step, once in a process's life."""
        if not self._prepared:
            with self._told(self._database.upgrading()) as db:
                migrations.upgrade(db)
            self._prepared = True

    @contextmanager
    def _told(self, transaction: AbstractContextManager[Connection]) -> Iterator[Connection]:
        """Whatever the database or a damaged row raises comes out as a StoreError."""
        try:
            with transaction as db:
                yield db
        except (SQLAlchemyError, CommandError, UnknownSchema, msgspec.MsgspecError, ValueError) as error:
            raise self._database.failure(error) from None

    def _write_snapshot(self, db: Connection, snapshot: Snapshot) -> None:
        kept = tables.snapshots
        _add(db, kept, [{"generation": snapshot.generation, "body": snapshots.encode(snapshot).decode()}])
        db.execute(delete(kept).where(kept.c.generation <= snapshot.generation - SNAPSHOTS_KEPT))

    def _put(self, db: Connection, table: Table, rows: Sequence[Values], newer: str | None = None) -> None:
        """Insert or replace by primary key; with `newer`, replace only where that column does not go back."""
        if not rows:
            return
        statement = self._database.insert(table)
        fresh = statement.excluded
        db.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key),
                set_={column.name: fresh[column.name] for column in table.c if not column.primary_key},
                where=None if newer is None else fresh[newer] >= table.c[newer],
            ),
            rows,
        )


def open_existing(url: str) -> SqlStore:
    """For whoever only reads: no file is made. Raises StoreError."""
    store = SqlStore(url)
    if store._database.missing:
        raise store._database.failure("there is no such file")
    return store


def _audit(db: Connection, rows: Sequence[AuditRow], head: str) -> None:
    """Chain the rows to the trail, whose head was `head`, and move it to the last of them."""
    for row in rows:
        previous, head = head, hash_of(head, row)
        _add(db, tables.audit, [{**asdict(row), "previous": previous, "hash": head}])
    db.execute(update(tables.head).values(audited=head))


def _audit_row(values: RowMapping) -> AuditRow:
    return AuditRow(**{name: value for name, value in values.items() if name not in ("id", "previous", "hash")})


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
