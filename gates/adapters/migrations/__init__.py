"""The store's schema, made and brought up to date: a step of Alembic for each change of it.

A step that has been released never changes; the next change of `tables` is the next step.
"""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from gates.adapters.database import UPGRADE_SECONDS

logger = logging.getLogger("penstock.control")

FIRST = "0001"
"""What a store was made as before steps were counted."""

_LOCK = int.from_bytes(b"penstock", "big")
"""A number that nothing else in the database locks by."""


class UnknownSchema(Exception):
    """The store has a schema that this version has never heard of."""


def upgrade(db: Connection) -> None:
    """Bring the schema to its newest step, within the transaction that is open, whoever else is starting now.

    A store that is empty is made; one from before steps were counted is adopted. Raises UnknownSchema for one that
    a newer version has written."""
    if db.dialect.name == "postgresql":  # SQLite's transactions begin with the lock, and wait for it as long
        _wait_for_others(db)
    config = _config(db)
    present = revision(db)
    if present is None and inspect(db).has_table("head"):
        command.stamp(config, FIRST)
    if present != newest():
        _require_known(present)
        command.upgrade(config, "head")
        logger.info("the store's schema is at step %s, from %s", newest(), present or "none")


def revision(db: Connection) -> str | None:
    """The step that the store is at, None where none was counted."""
    if not inspect(db).has_table("alembic_version"):
        return None
    found: str | None = db.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return found


def newest() -> str:
    """The step that `tables` describes."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def _wait_for_others(db: Connection) -> None:
    """The steps that follow wait for a lock as long as any statement."""
    usual = db.execute(text("SELECT current_setting('lock_timeout')")).scalar_one()
    bound = text("SELECT set_config('lock_timeout', :wait, true)")
    db.execute(bound, {"wait": f"{UPGRADE_SECONDS:g}s"})
    db.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    db.execute(bound, {"wait": usual})


def _require_known(present: str | None) -> None:
    known = [step.revision for step in _scripts().walk_revisions()]
    if present is not None and present not in known:
        raise UnknownSchema(
            f"its schema is at step {present}, and this version of Penstock knows no step after {known[0]}: "
            "a newer one has been at work here; run that"
        )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent))


def _config(db: Connection) -> Config:
    config = Config(attributes={"connection": db})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
