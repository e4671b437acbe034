"""Do two answers say the same? Total: whatever two upstreams sent, the result is a Comparison and never an
exception."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.comparison.embeddings import flaw_of, neighbours_kept, vectors_of
from proxy.comparison.near import near_at_once
from proxy.comparison.rankings import ranking_difference
from proxy.comparison.result import Comparison
from proxy.comparison.texts import text_difference
from proxy.comparison.values import Walk, first_of
from proxy.formats import Answer, AnsweredError, Predictions, Unfit, Unreadable, predictions
from proxy.formats.rows import unwrapped_alike
from proxy.snapshot import AgreementSpec

__all__ = ["Answer", "Comparison", "compare"]

_NOT_BOTH = "not_both_succeeded"
_AGREED = Comparison()
_ERROR = b"error"
_BEGINNING = 64
_FEWEST_TO_BE_CONSTANT = 8
_TOLD_APART = 4


def compare(champion: Answer, candidate: Answer, spec: AgreementSpec, path: bytes = b"") -> Comparison:
    """Compare what the two answered to one request to `path`, the champion's answer being the measure.

    Only pairs of successes are compared: a failure counts as an error of its own arm, not as a disagreement."""
    if not (champion.succeeded and candidate.succeeded):
        return Comparison(skipped=_NOT_BOTH, candidate_failure=_rejection(champion, candidate))
    if champion.body is None or candidate.body is None:
        return Comparison(skipped="body_too_large")
    if champion.same_as(candidate):
        return _both_failed(champion, spec, path) if champion.body.find(_ERROR, 0, _BEGINNING) >= 0 else _AGREED
    near = near_at_once(champion.body, candidate.body, spec)
    if near is not None:
        return near
    left, right = _read(champion, spec, path), _read(candidate, spec, path)
    if isinstance(left, Predictions) and isinstance(right, Predictions):
        try:
            return _compared(left, right, spec)
        except RecursionError:
            return Comparison(skipped="too_deep")
    return _not_both_read(left, right)


def _both_failed(answer: Answer, spec: AgreementSpec, path: bytes) -> Comparison:
    """What both answered may be an error, however well they agree in it. That is looked for where the first bytes speak
    of one: what differs from call to call does not stand there, or the answers would not be the same."""
    read = _read(answer, spec, path)
    return _not_both_read(read, read) if isinstance(read, AnsweredError) else _AGREED


def _rejection(champion: Answer, candidate: Answer) -> str:
    """A candidate that rejects (4xx) what the champion answered (2xx) has failed: MLflow's scoring server answers 400
    when the model itself crashes."""
    return "status_4xx" if champion.succeeded and 400 <= candidate.status < 500 else ""


def _read(answer: Answer, spec: AgreementSpec, path: bytes) -> Predictions | Unreadable:
    try:
        return predictions(answer, spec, path)
    except Unreadable as unreadable:
        return unreadable


def _not_both_read(left: Predictions | Unreadable, right: Predictions | Unreadable) -> Comparison:
    """What is not for us to read is skipped. An answer that tells of an error has failed; so has the candidate's when
    it cannot be read, and the champion's can."""
    for side in (left, right):
        if isinstance(side, Unfit):
            return Comparison(skipped=str(side))
    told = [str(side) if isinstance(side, AnsweredError) else "" for side in (left, right)]
    if any(told):
        return Comparison(skipped=_NOT_BOTH, champion_failure=told[0], candidate_failure=told[1])
    if isinstance(left, Unreadable):
        return Comparison(skipped=str(left))
    rows = max(len(left.rows), 1)
    return Comparison("unreadable", rows=rows, rows_disagreed=rows, candidate_failure="unreadable")


def _compared(left: Predictions, right: Predictions, spec: AgreementSpec) -> Comparison:
    a, b, kind = left.rows, right.rows, spec.kind
    if kind != "json" and not left.meaning:
        a, b = unwrapped_alike(a, b)
    if kind == "ranking" and not any(isinstance(row, list) for row in (*a[:1], *b[:1])):
        a, b = [list(a)], [list(b)]  # a row for each place: the whole answer is one ranking
    elif len(a) != len(b):
        rows = max(len(a), len(b))
        return Comparison("row_count", rows=rows, rows_disagreed=rows, candidate_failure=_shape_failure(left, kind))
    walk = Walk.under(spec, max(left.resolution, right.resolution))
    if kind == "ranking":
        return _by_row(a, b, lambda x, y: _ranking_difference(x, y, walk))
    if kind == "embedding" or (kind == "auto" and left.meaning == "embedding"):
        return _embeddings(a, b, walk)
    if kind == "text" or (kind == "auto" and left.meaning == "text"):
        return _by_row(a, b, lambda x, y: _message_difference(x, y, walk))
    first, disagreed = walk.rows(a, b)
    failure = _failure(left, a, b, walk) if first else ""
    if first and not failure and _is_constant(a, b):
        first = failure = "constant_output"
    return Comparison(first, "", len(a), disagreed, walk.row, walk.largest, "", failure)


def _is_constant(champion: Sequence[object], candidate: Sequence[object]) -> bool:
    """Whether the candidate says one and the same to a batch of instances that the champion tells apart: not of rare
    labels, which a small batch may well lack."""
    if len(candidate) < _FEWEST_TO_BE_CONSTANT or any(row != candidate[0] for row in candidate):
        return False
    distinct: list[object] = []
    for row in champion:
        if row not in distinct:
            distinct.append(row)
        if len(distinct) == _TOLD_APART:
            return True
    return False


def _failure(left: Predictions, a: Sequence[object], b: Sequence[object], walk: Walk) -> str:
    if walk.new_nan:
        return "new_nan"
    return _shape_failure(left, walk.spec.kind) if _changes_shape(a, b, walk.spec.classes) else ""


def _shape_failure(left: Predictions, kind: str) -> str:
    """Where the protocol promises a row for each instance, another number of them is an error; so is another shape of
    the rows, but for fields (`json`), whose lists may be of any length."""
    return "changed_shape" if left.batch and kind != "json" else ""


def _changes_shape(champion: Sequence[object], candidate: Sequence[object], classes: Sequence[str]) -> bool:
    """Whether the champion's rows are vectors of one length, and the candidate's are not all of it. Lists that vary
    with what was asked, as of tokens, promise none; and a label stands for a vector where `classes` are declared."""
    lengths = {len(row) if isinstance(row, list) else 0 for row in champion}
    if len(lengths) != 1 or 0 in lengths:
        return False
    return any(len(row) not in lengths if isinstance(row, list) else not classes for row in candidate)


def _by_row(a: Sequence[object], b: Sequence[object], difference: Callable[[object, object], str]) -> Comparison:
    found = list(map(difference, a, b))
    first, disagreed, row = first_of(found)
    failure = "new_nan" if "new_nan" in found else ""
    return Comparison(first, rows=len(a), rows_disagreed=disagreed, row=row, candidate_failure=failure)


def _ranking_difference(a: object, b: object, walk: Walk) -> str:
    """What is no ranking on either side may be the same all the same."""
    found = ranking_difference(a, b, walk.spec)
    if found is None:
        return "type" if walk.difference(a, b) else ""
    return found


def _message_difference(a: object, b: object, walk: Walk) -> str:
    """Two texts, or two messages with tool calls, whose names and arguments are fields; anything else as values."""
    if isinstance(a, str) and isinstance(b, str):
        return text_difference(a, b, walk.spec.min_overlap)
    if isinstance(a, dict) and isinstance(b, dict) and "tool_calls" in a and "tool_calls" in b:
        if walk.difference(a["tool_calls"], b["tool_calls"]):
            return "tool_calls"
        return _message_difference(a.get("content"), b.get("content"), walk)
    if any(isinstance(side, dict) and "tool_calls" in side for side in (a, b)):
        return "tool_calls"
    return walk.difference(a, b)


def _embeddings(a: Sequence[object], b: Sequence[object], walk: Walk) -> Comparison:
    """Vectors that agree number by number need no neighbours. Others need the champion's to be sound; where only the
    candidate's are not, it has failed."""
    walk.masks = False  # what is gone from vectors is looked for at once
    first, disagreed = walk.rows(a, b)
    if not first:
        return Comparison(rows=len(a), largest_gap=walk.largest)
    left, right = vectors_of(a), vectors_of(b)
    sound = not flaw_of(left)
    flaw = flaw_of(right) if sound else ""
    if flaw:
        failure = "changed_shape" if flaw == "shape" else flaw
        return Comparison(flaw, rows=len(a), rows_disagreed=disagreed, row=walk.row, candidate_failure=failure)
    kept = neighbours_kept(left, right, walk.spec.top_k) if sound and left is not None and right is not None else None
    return _by_neighbours(kept, walk.spec.min_overlap) if kept else Comparison(skipped="no_neighbours")


def _by_neighbours(kept: Sequence[float], min_overlap: float) -> Comparison:
    lost = sum(share < min_overlap for share in kept)
    farthest = kept.index(min(kept)) if lost else 0
    finding = "neighbours" if sum(kept) / len(kept) < min_overlap else ""
    return Comparison(finding, rows=len(kept), rows_disagreed=lost, row=farthest)
