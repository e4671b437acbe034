"""Disagreements are kept on record."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Float, String, Text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "disagreements",
        Column("id", String, primary_key=True),
        Column("model", String, nullable=False, index=True),
        Column("rollout", String, nullable=False, index=True),
        Column("at", Float, nullable=False),
        Column("body", Text, nullable=False),
    )
