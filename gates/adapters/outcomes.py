"""Outcomes in SQL, beside the store's other tables, over connections of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select

from gates.adapters import tables
from gates.adapters.database import retried
from gates.adapters.transactions import Transactions
from gates.evidence import Moments
from gates.promotion.outcomes import Joined

BATCH = 500
"""Rows in a transaction: a decision that waits for SQLite's one lock waits for no more than this."""


class SqlOutcomes:
    """`gates.ports.OutcomeStore` over SQLAlchemy. Nothing is opened before the first call."""

    def __init__(self, url: str) -> None:
        """Raises StoreError for an impossible URL."""
        self._transactions = Transactions(url)

    def add(self, model: str, outcomes: Sequence[Joined], kept: Sequence[str]) -> int:
        rows = [_row(model, joined) for joined in outcomes]
        new = sum(self._insert(rows[first : first + BATCH]) for first in range(0, len(rows), BATCH))
        self._forget(model, kept)
        return new

    @retried
    def tally(self, rollout: str) -> Mapping[str, Mapping[str, Moments]]:
        """A unit's outcomes are one value, their mean: those of one user are not independent."""
        kept = tables.outcomes
        of = (kept.c.name, kept.c.arm)
        units = (
            select(*of, func.avg(kept.c.value).label("value"))
            .where(kept.c.rollout == rollout)
            .group_by(*of, kept.c.unit)
            .cte("units")
        )
        arms = (
            select(units.c.name, units.c.arm, func.count().label("n"), func.avg(units.c.value).label("mean"))
            .group_by(units.c.name, units.c.arm)
            .cte("arms")
        )
        gap = units.c.value - arms.c.mean
        squared = (
            select(arms.c.name, arms.c.arm, arms.c.n, arms.c.mean, func.sum(gap * gap).label("squares"))
            .join(units, (units.c.name == arms.c.name) & (units.c.arm == arms.c.arm))
            .group_by(arms.c.name, arms.c.arm, arms.c.n, arms.c.mean)
        )
        found: dict[str, dict[str, Moments]] = {}
        with self._transactions.begin() as db:
            for row in db.execute(squared):
                found.setdefault(row.name, {})[row.arm] = Moments(row.n, float(row.mean), float(row.squares))
        return found

    def close(self) -> None:
        self._transactions.close()

    @retried
    def _insert(self, rows: Sequence[Mapping[str, object]]) -> int:
        """How many of them are new."""
        known = tables.outcomes
        statement = self._transactions.insert(known).on_conflict_do_nothing().returning(known.c.id)
        with self._transactions.begin() as db:
            return len(db.execute(statement, rows).all())

    @retried
    def _forget(self, model: str, kept: Sequence[str]) -> None:
        """All of the model's rollouts but those of `kept`."""
        known = tables.outcomes
        with self._transactions.begin() as db:
            db.execute(delete(known).where(known.c.model == model, known.c.rollout.not_in(list(kept))))


def _row(model: str, joined: Joined) -> dict[str, object]:
    outcome = joined.outcome
    return {
        "rollout": joined.rollout,
        "name": outcome.name,
        "id": outcome.id,
        "model": model,
        "unit": outcome.unit or outcome.id,
        "arm": joined.arm,
        "value": outcome.value,
        "at": outcome.at,
        "exact": joined.exact,
    }
