"""Disagreements on record: pairs of answers that differ, with the request that both got.

A record is made in the worker, where what may not be kept is taken out of it; nothing else of a body ever leaves the
worker. Which pairs are kept is the same rule for one worker and for the control plane, which has those of all.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from heapq import nsmallest

import msgspec

from proxy.comparison import Answer, Comparison
from proxy.formats import Unreadable, predictions
from proxy.redaction import Redaction, withheld
from proxy.routing import Variant, lot_of
from proxy.snapshot import MOST_ON_RECORD, ModelRoute

_LONGEST_NAME = 400
NO_ANSWER = Answer(0, [], b"")
"""Stands for the answer of a candidate that gave none, or none that was whole; the finding tells why."""


class AnswerOnRecord(msgspec.Struct, frozen=True):
    """What one version answered: its status, and its body as text."""

    version: str
    status: int
    body: str


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """One pair. `finding` names the first difference, or how the candidate failed; without an answer its status is 0.

    `severity` is the share of rows that differ and the largest gap g as g / (1 + g), 0 to 2. `lot` is drawn from the
    request alone: those with the smallest lots are a fair sample. `row` is the first that differs, None where rows have
    nothing to do with it. `served` is whose answer the client got."""

    id: str
    model: str
    epoch: int
    finding: str
    severity: float
    lot: int
    rows: int
    rows_disagreed: int
    row: int | None
    largest_gap: float
    served: Variant
    request_id: str
    method: str
    path: str
    headers: dict[str, str]
    request: str
    champion: AnswerOnRecord
    candidate: AnswerOnRecord


class Request(msgspec.Struct, frozen=True):
    """A request as it was forwarded."""

    method: str
    target: bytes
    fields: bytes
    body: bytes


class Ranked(msgspec.Struct, frozen=True):
    """What a pair is chosen by."""

    id: str
    finding: str
    severity: float
    lot: int


def finding_of(comparison: Comparison, champion: Answer, candidate: Answer) -> str:
    """By what name a pair is worth keeping: the difference, or the failure of a candidate whose champion answered; ""
    where they agree, and where the champion failed."""
    if candidate is NO_ANSWER or candidate.status >= 500:
        return (comparison.candidate_failure or "status_5xx") if champion.succeeded else ""
    return comparison.finding or comparison.candidate_failure


def severity_of(comparison: Comparison) -> float:
    share = comparison.rows_disagreed / comparison.rows if comparison.rows else 1.0
    return share + comparison.largest_gap / (1 + comparison.largest_gap)


class Selection:
    """Of each finding the `keep` most severe pairs, and the `keep` of the smallest lots: a fair sample of all.

    Both are the first of a total order, so selecting from the selections of many workers gives what selecting from all
    their pairs would have given."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._kept: dict[str, tuple[list[Ranked], list[Ranked]]] = {}

    @property
    def findings(self) -> Iterable[str]:
        return self._kept.keys()

    def add(self, pair: Ranked) -> list[str]:
        """Take a pair up; returns the ids that are out now, its own among them where it was not chosen.

        One that was taken before changes nothing."""
        lists = self._kept.setdefault(pair.finding, ([], []))
        rivals = {pair.id: pair}
        for chosen, order in zip(lists, (_by_severity, _by_lot), strict=True):
            if pair in chosen:
                continue
            if len(chosen) < self._keep or order(pair) < order(chosen[-1]):
                insort(chosen, pair, key=order)
                rivals |= {rival.id: rival for rival in chosen[self._keep :]}
                del chosen[self._keep :]
        return [id for id, rival in rivals.items() if not any(rival in chosen for chosen in lists)]


def worst(pairs: Iterable[Ranked], keep: int) -> list[Ranked]:
    return nsmallest(keep, pairs, key=_by_severity)


def representative(pairs: Iterable[Ranked], keep: int) -> list[Ranked]:
    return nsmallest(keep, pairs, key=_by_lot)


def _by_severity(pair: Ranked) -> tuple[float, int, str]:
    return (-pair.severity, -pair.lot, pair.id)


def _by_lot(pair: Ranked) -> tuple[int, str]:
    return (pair.lot, pair.id)


def ranked(pair: Disagreement) -> Ranked:
    return Ranked(pair.id, pair.finding, pair.severity, pair.lot)


def recorded(
    found: Ranked,
    comparison: Comparison,
    route: ModelRoute,
    served: Variant,
    request: Request,
    champion: Answer,
    candidate: Answer,
) -> Disagreement:
    """The pair as it may be kept under the route's policy. Total, whatever the three bodies are."""
    policy, redaction = route.record, Redaction(route.record.fields, route.record.headers)
    headers = redaction.headers(request.fields)
    body = redaction.body(request.body, policy.max_bytes)
    path = redaction.path(request.target)
    candidates_version = route.candidate.version if route.candidate else ""
    return Disagreement(
        id=found.id,
        model=route.model,
        epoch=route.epoch,
        finding=found.finding,
        severity=found.severity,
        lot=found.lot,
        rows=comparison.rows,
        rows_disagreed=comparison.rows_disagreed,
        row=comparison.row if comparison.rows_disagreed else None,
        largest_gap=comparison.largest_gap,
        served=served,
        request_id=headers.get("x-request-id", ""),
        method=request.method,
        path=path,
        headers=headers,
        request=body,
        champion=_on_record(route.champion.version, champion, route, request.target, redaction),
        candidate=_on_record(candidates_version, candidate, route, request.target, redaction),
    )


def _on_record(version: str, answer: Answer, route: ModelRoute, path: bytes, redaction: Redaction) -> AnswerOnRecord:
    return AnswerOnRecord(version, answer.status, _text_of(answer, route, path, redaction))


def _text_of(answer: Answer, route: ModelRoute, path: bytes, redaction: Redaction) -> str:
    """JSON as it came; of all else what was read from it, and where nothing was, its text."""
    body = answer.body
    if body is None:
        return withheld("longer than agreement.max_body", b"")
    if answer.encoding or (body[:1] not in (b"{", b"[") and answer.succeeded):
        try:
            rows = predictions(answer, route.agreement, path).rows
            return redaction.document({"predictions": rows}, route.record.max_bytes)
        except (Unreadable, RecursionError):
            pass
    return withheld("encoded", body) if answer.encoding else redaction.body(body, route.record.max_bytes)


def salted_lot(route: ModelRoute, request_fields: bytes) -> int:
    """Drawn from all that was sent, the request's id included: not by the unit."""
    return lot_of("record:" + route.salt, request_fields)


def require_lawful(pair: Disagreement) -> None:
    """Raises ValueError for a record that no worker of ours can have made."""
    names = (pair.id, pair.model, pair.finding, pair.request_id, pair.method)
    texts = (pair.request, pair.champion.body, pair.candidate.body)
    if not (pair.id and pair.finding and all(len(name) <= _LONGEST_NAME and name.isprintable() for name in names)):
        raise ValueError("a disagreement has no name, or one that cannot be printed")
    if any(len(text) > 2 * MOST_ON_RECORD for text in texts):
        raise ValueError("a disagreement's texts are too long")
    if not (0 <= pair.severity <= 2 and 0 <= pair.lot < 2**48):
        raise ValueError("a disagreement's rank is out of range")
