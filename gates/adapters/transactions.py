"""Transactions beside the store's own, over connections of their own, on a schema that is up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from gates.adapters import migrations
from gates.adapters.database import database


class Transactions:
    """Nothing is opened before the first one."""

    def __init__(self, url: str) -> None:
        """Raises StoreError for an impossible URL."""
        self._database = database(url)
        self._prepared = False

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """A statement that can upsert."""
        return self._database.insert(table)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Raises StoreError."""
        try:
            if not self._prepared:
                # apart from the work: PostgreSQL ends a session that rests for a while amid a transaction
                with self._database.upgrading() as db:
                    migrations.upgrade(db)
                self._prepared = True
            with self._database.engine.begin() as db:
                yield db
        except (SQLAlchemyError, ValueError) as error:
            raise self._database.failure(error) from None

    def close(self) -> None:
        self._database.engine.dispose()
