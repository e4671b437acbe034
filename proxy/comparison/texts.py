"""Texts side by side: exactly, then normalised, then word by word."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_WORD = re.compile(r"\w+|[^\w\s]")


def text_difference(champion: str, candidate: str, min_overlap: float) -> str:
    """ "text" where fewer words than `min_overlap` are common, "" otherwise."""
    if champion == candidate or normalised(champion) == normalised(candidate):
        return ""
    return "" if overlap(champion, candidate) >= min_overlap else "text"


def normalised(text: str) -> str:
    """One form for what reads the same: Unicode's NFKC, no case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def overlap(one: str, other: str) -> float:
    """The F1 measure over words and marks as multisets, 0 to 1, as SQuAD scores answers (Rajpurkar et al. 2016)."""
    left, right = Counter(_WORD.findall(normalised(one))), Counter(_WORD.findall(normalised(other)))
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 1.0
