"""Disagreements in the store: one row each, by its id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select

from gates.adapters import tables
from gates.state import Recorded


def values_of(pair: Recorded) -> dict[str, Any]:
    body = msgspec.json.encode(pair).decode()
    return {"id": pair.id, "model": pair.model, "rollout": pair.rollout, "at": pair.at, "body": body}


def of(db: Connection, rollout: str) -> Sequence[Recorded]:
    kept = tables.disagreements
    bodies = db.execute(select(kept.c.body).where(kept.c.rollout == rollout)).scalars()
    return [msgspec.json.decode(body, type=Recorded) for body in bodies]


def drop(db: Connection, ids: Sequence[str]) -> None:
    if ids:
        db.execute(delete(tables.disagreements).where(tables.disagreements.c.id.in_(ids)))


def expire(db: Connection, model: str, before: float) -> None:
    kept = tables.disagreements
    db.execute(delete(kept).where(kept.c.model == model, kept.c.at < before))
