"""Embeddings side by side. The spaces of two models cannot be laid over each other, but who is whose neighbour can."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

FEWEST = 3
"""In a batch of two each is the other's only neighbour, in every space."""
MOST = 512


def vectors_of(rows: Sequence[object]) -> NDArray[float64] | None:
    """An array of two dimensions, of which null is NaN and a number beyond every float infinite; None where the rows
    are not of one length, or no vectors."""
    import numpy as np  # 20 MiB of a worker: only where embeddings are compared

    if None in rows:
        return np.full((1, 1), math.nan)
    if not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):  # type: ignore[arg-type]
        return None
    try:
        vectors = np.asarray(rows, dtype=np.float64)
    except OverflowError:
        return np.full((1, 1), math.inf)
    except (TypeError, ValueError):
        return None
    return vectors if vectors.ndim == 2 and vectors.size else None


def flaw_of(vectors: NDArray[float64] | None) -> str:
    """What keeps an answer from being finite vectors of one length: "shape", "new_nan" or "infinite"; "" if nothing."""
    import numpy as np

    if vectors is None:
        return "shape"
    if np.isfinite(vectors).all():
        return ""
    return "new_nan" if np.isnan(vectors).any() else "infinite"


def neighbours_kept(champion: NDArray[float64], candidate: NDArray[float64], k: int) -> list[float] | None:
    """For each row, the share of its `k` nearest neighbours within the batch, by cosine, that are the same in both.

    None where there are fewer than `FEWEST` rows. Of more than `MOST` rows only the first are looked at, as the work
    grows with their square."""
    rows = min(len(champion), MOST)
    if rows < FEWEST:
        return None
    near = min(k, max(1, (rows - 1) // 2))  # among all the others, every neighbour would be kept
    left, right = _nearest(champion[:rows], near), _nearest(candidate[:rows], near)
    return [len(set(a) & set(b)) / near for a, b in zip(left, right, strict=True)]


def _nearest(vectors: NDArray[float64], near: int) -> list[list[int]]:
    import numpy as np

    largest = np.abs(vectors).max(axis=1, keepdims=True)
    vectors = vectors / np.where(largest > 0, largest, 1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.where(lengths > 0, lengths, 1)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -math.inf)
    nearest: list[list[int]] = np.argsort(-likeness, axis=1, kind="stable")[:, :near].tolist()
    return nearest
