"""Which alerts were told, and when."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Float, String

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "alerts",
        Column("name", String, primary_key=True),
        Column("subject", String, primary_key=True),
        Column("occasion", String, primary_key=True),
        Column("at", Float, nullable=False),
    )
