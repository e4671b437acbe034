"""Rankings side by side: what stands in the first places, and in which order."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from heapq import nlargest
from typing import Any, TypeGuard

from proxy.snapshot import AgreementSpec


def ranking_difference(champion: object, candidate: object, spec: AgreementSpec) -> str | None:
    """ "overlap" where too few of the first `top_k` items are in both, "order" where those that are stand in too
    different an order, "type" where one side alone is a ranking, "" where the rankings agree; None where neither is
    one. Vectors of numbers are scores, and rank their own places."""
    left, right = ranked(champion, spec.top_k), ranked(candidate, spec.top_k)
    if left is None or right is None:
        return None if left is right else "type"
    k = max(len(left), len(right))
    common = set(left) & set(right)
    if len(common) < spec.min_overlap * k:
        return "overlap"
    return "order" if spearman(left, right, common) < spec.min_correlation else ""


def ranked(value: object, k: int) -> Sequence[Hashable] | None:
    """The first `k` items, from first to last, each once; None for what is no ranking. Of scores, the highest is first,
    and of equal ones the one that comes first."""
    listed = value if isinstance(value, list) else [value]
    if _are_scores(listed):
        scores = [-math.inf if score != score else score for score in listed]
        return nlargest(k, range(len(scores)), key=scores.__getitem__)
    items = _distinct(map(_identity, listed), k)
    return None if None in items else items


def _distinct(items: Iterable[Hashable], k: int) -> list[Hashable]:
    """The first `k`: what is repeated stands at its first place."""
    met: dict[Hashable, None] = {}
    for item in items:
        met[item] = None
        if len(met) == k:
            break
    return list(met)


def _are_scores(items: list[object]) -> TypeGuard[list[Any]]:
    """Whole numbers alone are ids."""
    kinds = set(map(type, items))
    return float in kinds and kinds <= {float, int}


def _identity(item: object) -> Hashable:
    """A scalar, or what an object of a ranking is known by; None for what is no item, as NaN."""
    if isinstance(item, dict):
        item = next((item[key] for key in ("id", "item", "item_id", "name", "label") if key in item), None)
    return item if isinstance(item, str | int | float) and item == item else None


def spearman(left: Sequence[Hashable], right: Sequence[Hashable], common: set[Hashable]) -> float:
    """Spearman's rank correlation of the items that both have: 1 - 6 sum(d^2) / (n (n^2 - 1)), as no two tie. Fewer
    than two items have no order to differ in."""
    n = len(common)
    if n < 2:
        return 1.0
    first, second = _ranks(left, common), _ranks(right, common)
    return 1 - 6 * sum((first[item] - second[item]) ** 2 for item in first) / (n * (n * n - 1))


def _ranks(items: Sequence[Hashable], common: set[Hashable]) -> dict[Hashable, int]:
    return {item: rank for rank, item in enumerate(item for item in items if item in common)}
