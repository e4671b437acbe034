"""Pairs in shadow, where both versions answered the same request: the sequential McNemar test.

Requests that fail in both arms, or in neither, say nothing of the difference. Of those that fail in one alone, the
candidate's share is at most r0 / (1 + r0) as long as it fails alone at most r0 = 1 + margin times as often as the
champion does: 1/2 without a margin. That is `ratio` with equal numbers of answers, and a rate against a fixed bound,
so the evidence depends on the totals alone. Valid if each pair is a trial of its own.

Sources: McNemar 1947; as an e-process Lindon & Malek 2022 with an assignment of one half."""

from __future__ import annotations

from gates.evidence.rate import log_evidence_above, log_evidence_below


def log_evidence_paired_worse(candidate_alone: int, champion_alone: int, margin: float = 0.0) -> float:
    """log E against "the candidate fails alone at most (1 + margin) times as often as the champion does".

    Raises ValueError for negative counts, and for a margin below 0 or above 17."""
    return log_evidence_above(candidate_alone, candidate_alone + champion_alone, pair_bound(margin))


def log_evidence_paired_no_worse(candidate_alone: int, champion_alone: int, margin: float = 0.0) -> float:
    """log E against "the candidate fails alone at least (1 + margin) times as often as the champion does"."""
    return log_evidence_below(candidate_alone, candidate_alone + champion_alone, pair_bound(margin))


def pair_bound(margin: float) -> float:
    """The candidate's largest lawful share of the failures that one version alone had. Raises ValueError."""
    if not 0 <= margin <= 17:
        raise ValueError(f"margin {margin} is not between 0 and 17")
    return (1 + margin) / (2 + margin)
