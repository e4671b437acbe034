"""Which versions served before; and what came of the answers."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Float, String

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for name in ("previous", "fallback"):
        op.add_column("servings", Column(name, String, nullable=False, server_default=""))
    op.create_table(
        "outcomes",
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
