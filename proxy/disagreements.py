"""Disagreements on record: pairs of answers that differ, with the request that both got.

A record is made in the worker, where what may not be kept is taken out of it; nothing else of a body ever leaves the
worker. Which pairs are kept is the same rule for one worker and for the control plane, which has those of all.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest

import msgspec

from proxy.comparison import Answer, Comparison
from proxy.formats import Unreadable, predictions
from proxy.formats.encodings import decoded
from proxy.formats.events import from_events
from proxy.formats.reading import parse
from proxy.redaction import LARGEST, Draft, Redaction, withheld
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
    redaction = Redaction(route.record.fields, route.record.headers)
    headers, path = redaction.headers(request.fields), redaction.path(request.target)
    asked = _asked(request, headers, route, redaction)
    answers = [_answered(answer, route, request.target, redaction) for answer in (champion, candidate)]
    if redaction.marks and asked.form == "withheld":
        headers, path, answers = _about_the_body(headers), _UNKNOWN.text, list(map(_unknown, answers))
    hiding, most = redaction.hiding(), route.record.max_bytes
    ours, theirs = (hiding.written(answer, most) for answer in answers)
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
        request_id=hiding.name(headers.get("x-request-id", "")),
        method=request.method,
        path=hiding.text(path),
        headers={hiding.text(name): hiding.text(value) for name, value in headers.items()},
        request=hiding.written(asked, most),
        champion=AnswerOnRecord(route.champion.version, champion.status, ours),
        candidate=AnswerOnRecord(candidates_version, candidate.status, theirs),
    )


def _asked(request: Request, headers: Mapping[str, str], route: ModelRoute, redaction: Redaction) -> Draft:
    try:
        return redaction.body(_plain(request.body, headers.get("content-encoding", ""), route, redaction))
    except Unreadable:
        return withheld("encoded", request.body)


def _answered(answer: Answer, route: ModelRoute, path: bytes, redaction: Redaction) -> Draft:
    """JSON as it came; of all else what was read from it, and where nothing was, its text."""
    if answer.body is None:
        return withheld("longer than agreement.max_body", b"")
    try:
        body = _plain(answer.body, answer.encoding.decode("latin-1"), route, redaction)
    except Unreadable:
        return withheld("encoded", answer.body)
    draft = redaction.body(body)
    reads_as_json = draft.form == "json" or (draft.form == "text" and body.lstrip()[:1] in (b"{", b"["))
    if reads_as_json or not answer.succeeded:
        return draft
    try:
        rows = _rows_of_stream(body, redaction) if redaction.marks else predictions(answer, route.agreement, path).rows
        return redaction.document({"predictions": rows})
    except (Unreadable, RecursionError):
        return draft


def _plain(body: bytes, encoding: str, route: ModelRoute, redaction: Redaction) -> bytes:
    """A body without its encodings. Raises Unreadable."""
    return decoded(body, encoding.lower(), LARGEST if redaction.marks else route.agreement.max_body)


def _rows_of_stream(body: bytes, redaction: Redaction) -> Sequence[object]:
    """What a stream's events say together, where no mark leads into any of them.

    Raises Unreadable for all others, and where nothing joins the events: a value may stand there in pieces."""
    data = (line[5:].strip() for line in body.splitlines() if line.startswith(b"data:"))
    events = [parse(each) for each in data if each != b"[DONE]"]
    rows = list(from_events(body).rows)
    if rows == events or [redaction.marks.taken_out(event) for event in events] != events:
        raise Unreadable("marked")
    return rows


_UNKNOWN = withheld("as the request is, whose values are not known", b"")
_ABOUT_THE_BODY = ("content-type", "content-encoding", "content-length", "x-request-id")


def _unknown(answer: Draft) -> Draft:
    """Nothing that may repeat what cannot be looked for is kept."""
    return _UNKNOWN if answer.text else answer


def _about_the_body(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name in _ABOUT_THE_BODY}


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
