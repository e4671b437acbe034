"""The audit trail as a chain: each row carries a hash of itself and of all before it, so that no change goes unseen.

What the chain shows is that the rows are those that the head was made from. Whoever can write the whole database can
make a new chain and a new head for it; a head that is kept elsewhere finds that out too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from gates.state import AuditRow

GENESIS = "0" * 64
"""What the first row's hash is chained to: the head of an empty trail."""


@dataclass(frozen=True, slots=True)
class Link:
    """A row in its place: `number` orders the rows, `previous` is the hash that was the head before it."""

    number: int
    row: AuditRow
    previous: str
    hash: str


class Broken(Exception):
    """The first place where the chain does not hold, in words."""


def hash_of(previous: str, row: AuditRow) -> str:
    """SHA-256, in hex, over the previous hash and the row as compact JSON: an array of its fields in this order.

    The form is part of every chain on record: a field that is added one day must not change the hash of a row that was
    written without it."""
    content = (
        *(row.generation, row.at, row.model, row.rollout, row.event, row.by, row.reason),
        *(row.phase, row.position, row.inputs),
    )
    return sha256(msgspec.json.encode((previous, *content))).hexdigest()


class Chain:
    """A walk along the trail, from its beginning, a row at a time."""

    def __init__(self) -> None:
        self.rows = 0
        self.head = GENESIS
        self._heads: set[str] = set()
        self._last = "the beginning"

    def follow(self, links: Iterable[Link]) -> None:
        """Raises Broken at the first row that does not hold."""
        for link in links:
            here = f"row {link.number} ({link.row.event} of {link.row.model}, generation {link.row.generation})"
            if link.previous != self.head:
                raise Broken(f"{here} does not follow {self._last}: a row was taken out, put in or moved")
            if link.hash != hash_of(link.previous, link.row):
                raise Broken(f"{here} is not what was written: its content or its hash was changed")
            self.rows, self.head, self._last = self.rows + 1, link.hash, f"row {link.number}"
            self._heads.add(link.hash)

    def end(self, head: str, kept: str | None = None) -> None:
        """At the last row: `head` is what the store has as its end, `kept` a head that was noted down earlier.

        Raises Broken where rows are missing at the end, or where the chain never went through `kept`."""
        if head != self.head:
            raise Broken(
                f"the trail ends at {self._last}, and its head is that of another: rows are missing at the end"
            )
        if kept is not None and kept not in (GENESIS, *self._heads):
            raise Broken(f"the trail never had the head {kept}: it was cut or written anew since")
