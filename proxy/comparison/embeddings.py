"""Embeddings side by side. The spaces of two models cannot be laid over each other, but who is whose neighbour can."""

from __future__ import annotations

import math
from collections.abc import Sequence

FEWEST = 3
"""In a batch of two each is the other's only neighbour, in every space."""
MOST = 512


def neighbours_kept(champion: Sequence[object], candidate: Sequence[object], k: int) -> list[float] | None:
    """For each row, the share of its `k` nearest neighbours within the batch, by cosine, that are the same in both.

    None where either is not a batch of finite vectors of one dimension, or has fewer than `FEWEST` rows. Of more than
    `MOST` rows only the first are looked at, as the work grows with their square."""
    import numpy as np  # 20 MiB of a worker: only where embeddings are compared
    from numpy.typing import NDArray

    def nearest(rows: Sequence[object]) -> NDArray[np.intp] | None:
        if not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):  # type: ignore[arg-type]
            return None
        try:
            vectors = np.asarray(rows, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            return None
        if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
            return None
        largest = np.abs(vectors).max(axis=1, keepdims=True)
        vectors = vectors / np.where(largest > 0, largest, 1)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.where(lengths > 0, lengths, 1)
        likeness = vectors @ vectors.T
        np.fill_diagonal(likeness, -math.inf)
        return np.argsort(-likeness, axis=1, kind="stable")[:, :near]

    rows = min(len(champion), MOST)
    near = min(k, max(1, (rows - 1) // 2))  # among all the others, every neighbour would be kept
    if rows < FEWEST:
        return None
    left, right = nearest(champion[:rows]), nearest(candidate[:rows])
    if left is None or right is None:
        return None
    return [len(set(a) & set(b)) / near for a, b in zip(left.tolist(), right.tolist(), strict=True)]
