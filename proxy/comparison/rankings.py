"""Rankings side by side: what stands in the first places, and in which order."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, TypeGuard

from proxy.snapshot import AgreementSpec

_LONGEST = 4096


def ranking_difference(champion: object, candidate: object, spec: AgreementSpec) -> str:
    """ "overlap" where too few of the first `top_k` items are in both, "order" where those that are stand in too
    different an order, "" where the rankings agree. Vectors of numbers are scores, and rank their own places."""
    left, right = ranked(champion), ranked(candidate)
    if left is None or right is None:
        return "type"
    k = min(spec.top_k, max(len(left), len(right)))
    if not k:
        return ""
    common = set(left[:k]) & set(right[:k])
    if len(common) < spec.min_overlap * k:
        return "overlap"
    return "order" if spearman(left[:k], right[:k], common) < spec.min_correlation else ""


def ranked(value: object) -> Sequence[Hashable] | None:
    """The items from first to last; None for what is no ranking. Of scores, the highest is first, and of equal ones the
    one that comes first."""
    listed = value if isinstance(value, list) else [value]
    if len(listed) > _LONGEST:
        return None
    if _are_scores(listed):
        scores = [-math.inf if score != score else score for score in listed]
        return sorted(range(len(scores)), key=lambda place: -scores[place])
    items = [_identity(item) for item in listed]
    return items if all(item is not None for item in items) else None


def _are_scores(items: list[object]) -> TypeGuard[list[Any]]:
    """Whole numbers alone are ids."""
    kinds = set(map(type, items))
    return float in kinds and kinds <= {float, int}


def _identity(item: object) -> Hashable:
    """A scalar, or what an object of a ranking is known by."""
    if isinstance(item, dict):
        item = next((item[key] for key in ("id", "item", "item_id", "name", "label") if key in item), None)
    return item if isinstance(item, str | int | float) else None


def spearman(left: Sequence[Hashable], right: Sequence[Hashable], common: set[Hashable]) -> float:
    """Spearman's rank correlation of the items that both have: 1 - 6 sum(d^2) / (n (n^2 - 1)), as no two tie. Fewer
    than two items have no order to differ in."""
    first = {item: rank for rank, item in enumerate(_once(left, common))}
    second = {item: rank for rank, item in enumerate(_once(right, common))}
    n = len(first)
    if n < 2:
        return 1.0
    return 1 - 6 * sum((first[item] - second[item]) ** 2 for item in first) / (n * (n * n - 1))


def _once(items: Sequence[Hashable], common: set[Hashable]) -> list[Hashable]:
    return [item for item in dict.fromkeys(items) if item in common]
