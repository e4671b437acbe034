"""The audit trail becomes a chain, from its first row on; the head holds its end, and the lease of who acts."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Connection, Float, MetaData, String, Table, select, update

from gates.audit import GENESIS, hash_of
from gates.state import AuditRow

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name in ("previous", "hash"):
        op.add_column("audit", Column(name, String, nullable=False, server_default=""))
    op.add_column("head", Column("audited", String, nullable=False, server_default=GENESIS))
    op.add_column("head", Column("holder", String, nullable=False, server_default=""))
    op.add_column("head", Column("until", Float, nullable=False, server_default="0"))
    op.drop_column("head", "layout")
    _chain(op.get_bind())


def _chain(db: Connection) -> None:
    metadata = MetaData()
    audit, head = (Table(name, metadata, autoload_with=db) for name in ("audit", "head"))
    previous = GENESIS
    for values in db.execute(select(audit).order_by(audit.c.id)).mappings().all():
        row = AuditRow(**{name: value for name, value in values.items() if name not in ("id", "previous", "hash")})
        chained = {"previous": previous, "hash": hash_of(previous, row)}
        db.execute(update(audit).where(audit.c.id == values["id"]).values(chained))
        previous = chained["hash"]
    db.execute(update(head).values(audited=previous))
