"""The tables of the store as they are now, the same for every database; `migrations` leads there from wherever a store
is."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, String, Table, Text

metadata = MetaData()

_Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers by itself only what is called INTEGER

# One row: the generation that the next commit must follow, the hash of the newest audit row, and who may commit: the
# holder of the lease, until that many seconds since the epoch by the database's own clock.
head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("audited", String, nullable=False),
    Column("holder", String, nullable=False),
    Column("until", Float, nullable=False),
)
snapshots = Table(
    "snapshots",
    metadata,
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
)
servings = Table(
    "servings",
    metadata,
    Column("model", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("configured", String, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("previous", String, nullable=False, server_default=""),
    Column("fallback", String, nullable=False, server_default=""),
)
rollouts = Table(
    "rollouts",
    metadata,
    Column("id", String, primary_key=True),
    Column("model", String, nullable=False, index=True),
    Column("champion", String, nullable=False),
    Column("candidate", String, nullable=False),
    Column("begun", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
audit = Table(
    "audit",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("model", String, nullable=False, index=True),
    Column("rollout", String, nullable=False),
    Column("event", String, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("phase", String, nullable=False),
    Column("position", Integer, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("previous", String, nullable=False),
    Column("hash", String, nullable=False),
)
windows = Table(
    "windows",
    metadata,
    Column("worker", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
clocks = Table(
    "clocks",
    metadata,
    Column("rollout", String, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("age", Float, nullable=False),
    Column("evidence", Text, nullable=False),
)
errands = Table(
    "errands",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("kind", String, nullable=False),
    Column("body", Text, nullable=False),
)
disagreements = Table(
    "disagreements",
    metadata,
    Column("id", String, primary_key=True),
    Column("model", String, nullable=False, index=True),
    Column("rollout", String, nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("body", Text, nullable=False),
)
outcomes = Table(
    "outcomes",
    metadata,
    Column("rollout", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("model", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("arm", String, nullable=False),
    Column("value", Float, nullable=False),
    Column("at", Float, nullable=False),
    Column("exact", Boolean, nullable=False),
)
alerts = Table(
    "alerts",
    metadata,
    Column("name", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("occasion", String, primary_key=True),
    Column("at", Float, nullable=False),
)
