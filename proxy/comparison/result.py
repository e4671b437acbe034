"""What comparing two answers found. A msgspec structure: a frozen dataclass takes ten times as long to make."""

from __future__ import annotations

import msgspec


class Comparison(msgspec.Struct, frozen=True):
    """How two answers differ. `finding` names the first difference, "" where they agree; `skipped` why there was none
    to make.

    A success in name can be a failure: `champion_failure` and `candidate_failure` say of what kind, "" for none.
    `row` is the place of the first row that differs, 0 where none does.
    `largest_gap` is the largest |a - b| over the numbers that were compared. Answers of the same bytes agree without
    being read, hence without rows."""

    finding: str = ""
    skipped: str = ""
    rows: int = 0
    rows_disagreed: int = 0
    row: int = 0
    largest_gap: float = 0.0
    champion_failure: str = ""
    candidate_failure: str = ""
