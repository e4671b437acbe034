"""The tables as they were at the beginning."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Float, Integer, String, Text

revision = "0001"
down_revision = None

Serial = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "head",
        Column("id", Integer, primary_key=True),
        Column("generation", BigInteger, nullable=False),
        Column("layout", Integer, nullable=False),
    )
    op.create_table(
        "snapshots",
        Column("generation", BigInteger, primary_key=True, autoincrement=False),
        Column("body", Text, nullable=False),
    )
    op.create_table(
        "servings",
        Column("model", String, primary_key=True),
        Column("version", String, nullable=False),
        Column("configured", String, nullable=False),
        Column("epoch", BigInteger, nullable=False),
    )
    op.create_table(
        "rollouts",
        Column("id", String, primary_key=True),
        Column("model", String, nullable=False, index=True),
        Column("champion", String, nullable=False),
        Column("candidate", String, nullable=False),
        Column("begun", BigInteger, nullable=False),
        Column("body", Text, nullable=False),
    )
    op.create_table(
        "audit",
        Column("id", Serial, primary_key=True),
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
    )
    op.create_table(
        "windows",
        Column("worker", String, primary_key=True),
        Column("model", String, primary_key=True),
        Column("epoch", BigInteger, primary_key=True, autoincrement=False),
        Column("sequence", BigInteger, nullable=False),
        Column("body", Text, nullable=False),
    )
    op.create_table(
        "clocks",
        Column("rollout", String, primary_key=True),
        Column("epoch", BigInteger, nullable=False),
        Column("seconds", Float, nullable=False),
    )
    op.create_table(
        "errands",
        Column("id", Serial, primary_key=True),
        Column("kind", String, nullable=False),
        Column("body", Text, nullable=False),
    )
    op.execute("INSERT INTO head (id, generation, layout) VALUES (1, 0, 1)")
