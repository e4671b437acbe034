"""Which alerts were told, in SQL beside the store's other tables."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Insert, delete, select

from gates.adapters import tables
from gates.adapters.database import retried
from gates.adapters.transactions import Transactions
from gates.alerts import CONDITIONS, AlertKey, ended


class SqlAlertLog:
    """`gates.ports.AlertLog` over SQLAlchemy. Nothing is opened before the first call."""

    def __init__(self, url: str) -> None:
        """Raises StoreError for an impossible URL."""
        self._transactions = Transactions(url)

    @retried
    def told(self) -> Mapping[AlertKey, float]:
        kept = tables.alerts
        with self._transactions.begin() as db:
            return {AlertKey(row.name, row.subject, row.occasion): row.at for row in db.execute(select(kept))}

    @retried
    def tell(self, key: AlertKey, at: float, before: float) -> None:
        kept, begun = tables.alerts, ended(key)
        with self._transactions.begin() as db:
            db.execute(self._noted(key, at) if begun is None else delete(kept).filter_by(**begun._asdict()))
            db.execute(delete(kept).where(kept.c.at < before, kept.c.name.not_in(tuple(CONDITIONS))))

    def _noted(self, key: AlertKey, at: float) -> Insert:
        kept = tables.alerts
        statement = self._transactions.insert(kept).values(**key._asdict(), at=at)
        return statement.on_conflict_do_update(index_elements=list(kept.primary_key), set_={"at": at})

    def close(self) -> None:
        self._transactions.close()
