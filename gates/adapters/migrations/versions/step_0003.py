"""The clock of a stage comes with the stage's age, and with what its gates' watches have seen."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Float, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("clocks", Column("age", Float, nullable=False, server_default="0"))
    op.add_column("clocks", Column("evidence", Text, nullable=False, server_default="[]"))
