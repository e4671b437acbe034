"""Texts side by side: exactly, then normalised, then word by word."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_WORD = re.compile(r"\w+|[^\w\s]")
_PIECE = re.compile(r".{1,256}(?!\S)|\S{1,256}|\s", re.DOTALL)
_GROWTH, _ROOM = 2, 1000


def text_difference(champion: str, candidate: str, min_overlap: float) -> str:
    """ "text" where fewer words than `min_overlap` are common, "" otherwise."""
    if champion == candidate:
        return ""
    one, other = normalised(champion), normalised(candidate)
    return "" if one == other or overlap(one, other) >= min_overlap else "text"


def normalised(text: str) -> str:
    """One form for what reads the same: Unicode's NFKC, no case, single spaces."""
    return " ".join(_compatible(text).casefold().split())


def _compatible(text: str) -> str:
    """NFKC in pieces that end between words, as bringing n marks of one letter into order takes n * n steps. A text of
    which it would make far more, as of ligatures that stand for a whole phrase, is left as it came."""
    if text.isascii() or unicodedata.is_normalized("NFKC", text):
        return text
    pieces: list[str] = []
    room = _GROWTH * len(text) + _ROOM
    for piece in _PIECE.findall(text):
        pieces.append(unicodedata.normalize("NFKC", piece))
        room -= len(pieces[-1])
        if room < 0:
            return text
    return "".join(pieces)


def overlap(one: str, other: str) -> float:
    """The F1 measure over the words and marks of two normalised texts as multisets, 0 to 1, as SQuAD scores answers
    (Rajpurkar et al. 2016)."""
    left, right = Counter(_WORD.findall(one)), Counter(_WORD.findall(other))
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 1.0
