"""The schema: made, adopted, upgraded, refused; the same on every database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from gates.adapters import migrations, tables
from gates.adapters.store import SqlStore
from gates.audit import Chain
from gates.ports import StoreError
from gates.state import AuditRow, Commit, State
from proxy.snapshot import Snapshot

ROOT = Path(__file__).parents[3]

# What the first version of all made, before steps were counted.
ANCIENT = """
CREATE TABLE head (id INTEGER NOT NULL, generation BIGINT NOT NULL, layout INTEGER NOT NULL, PRIMARY KEY (id));
CREATE TABLE snapshots (generation BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (generation));
CREATE TABLE servings (model VARCHAR NOT NULL, version VARCHAR NOT NULL, configured VARCHAR NOT NULL,
    epoch BIGINT NOT NULL, PRIMARY KEY (model));
CREATE TABLE rollouts (id VARCHAR NOT NULL, model VARCHAR NOT NULL, champion VARCHAR NOT NULL,
    candidate VARCHAR NOT NULL, begun BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (id));
CREATE INDEX ix_rollouts_model ON rollouts (model);
CREATE TABLE audit (id {serial}, generation BIGINT NOT NULL, at FLOAT NOT NULL,
    model VARCHAR NOT NULL, rollout VARCHAR NOT NULL, event VARCHAR NOT NULL, "by" VARCHAR NOT NULL,
    reason TEXT NOT NULL, phase VARCHAR NOT NULL, position INTEGER NOT NULL, inputs TEXT NOT NULL, PRIMARY KEY (id));
CREATE INDEX ix_audit_model ON audit (model);
CREATE TABLE windows (worker VARCHAR NOT NULL, model VARCHAR NOT NULL, epoch BIGINT NOT NULL,
    sequence BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (worker, model, epoch));
CREATE TABLE clocks (rollout VARCHAR NOT NULL, epoch BIGINT NOT NULL, seconds FLOAT NOT NULL, PRIMARY KEY (rollout));
CREATE TABLE errands (id {serial}, kind VARCHAR NOT NULL, body TEXT NOT NULL, PRIMARY KEY (id));
INSERT INTO head VALUES (1, 2, 1);
INSERT INTO snapshots VALUES (2, '{{"generation": 2, "routes": []}}');
INSERT INTO audit (generation, at, model, rollout, event, "by", reason, phase, position, inputs)
    VALUES (1, 1700000000.25, 'm', '', 'configure', 'configuration', 'new', 'idle', 0, '{{}}'),
           (2, 1700000001.5, 'm', '', 'configure', 'configuration', 'größer', 'idle', 0, '{{}}');
INSERT INTO clocks VALUES ('r1', 2, 7.5);
"""


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    """Over an empty database."""
    with closing(SqlStore(url, "here")) as opened:
        yield opened


def make_ancient(store: SqlStore) -> None:
    sqlite = store._database.engine.dialect.name == "sqlite"
    serial = "INTEGER NOT NULL" if sqlite else "BIGSERIAL NOT NULL"
    with store._transaction() as db:
        for statement in ANCIENT.format(serial=serial).split(";\n"):
            if statement.strip():
                db.execute(text(statement))


def differences(store: SqlStore) -> list[object]:
    """Between the database's schema and `tables`."""
    with store._transaction() as db:
        return list(compare_metadata(MigrationContext.configure(db), tables.metadata))


def chain(store: SqlStore) -> Chain:
    walked = Chain()
    links, head = store.trail(0, 1000)
    walked.follow(links)
    walked.end(head)
    return walked


def test_a_new_stores_schema_is_that_of_the_tables(store: SqlStore) -> None:
    assert store.load() == State()
    assert differences(store) == []
    with store._transaction() as db:
        assert migrations.revision(db) == migrations.newest()


def test_a_store_from_before_steps_were_counted_is_adopted_with_its_trail(store: SqlStore) -> None:
    make_ancient(store)
    state = store.load()
    assert differences(store) == []
    assert state.snapshot == Snapshot(2, ())
    assert [(clock.epoch, clock.seconds) for clock in state.clocks] == [(2, 7.5)]
    assert chain(store).rows == 2
    store.commit(Commit(Snapshot(3, ()), (AuditRow(3, 1.5, "m", "", "configure", "c", "r", "idle", 0, "{}"),)))
    assert chain(store).rows == 3


def test_a_store_at_an_earlier_step_is_upgraded_by_whoever_starts(store: SqlStore) -> None:
    make_ancient(store)
    assert store.lead(60) == "here"
    assert differences(store) == []


def test_a_newer_schema_is_refused_and_left_as_it_is(store: SqlStore) -> None:
    store.load()
    with store._transaction() as db:
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    later = SqlStore(store._database.engine.url.render_as_string(hide_password=False))
    with pytest.raises(StoreError, match=f"step 9999, and this version of Penstock knows no step after {newest()}"):
        later.load()
    with pytest.raises(StoreError, match="its schema is at step 9999"):
        later.trail(0, 1)
    with store._transaction() as db:
        assert migrations.revision(db) == "9999"
    later.close()


def newest() -> str:
    return migrations.newest()


def test_an_upgrade_that_fails_leaves_the_store_as_it_was(store: SqlStore) -> None:
    make_ancient(store)
    with store._transaction() as db:
        db.execute(text("ALTER TABLE clocks ADD COLUMN age FLOAT"))  # the last step's, which cannot be taken now
    with pytest.raises(StoreError, match="age"):
        store.load()
    with store._transaction() as db:
        assert migrations.revision(db) is None
        assert db.execute(text("SELECT layout FROM head")).scalar_one() == 1


def test_the_wheel_brings_the_steps(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    program = "import gates; from gates.adapters.store import SqlStore; SqlStore('sqlite:///p.db').load()"
    program += "; print(gates.__file__)"
    # -S: not even the checkout's own editable install is in reach.
    found = [str(tmp_path / "installed"), *(path for path in sys.path if "site-packages" in path)]
    made = subprocess.run(
        [sys.executable, "-S", "-P", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(found)},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(str(tmp_path / "installed"))
    with sqlite3.connect(tmp_path / "p.db") as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchone() == (migrations.newest(),)
    db.close()
