"""What came of the answers, and what people say of a version: outcomes, approvals, reports of gates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from gates.api.operations import STORABLE, Call, Name, Operation, Reason, Version
from gates.api.refusals import Refusal
from gates.controller.controller import Controller
from gates.controller.outcomes import Receipt
from gates.promotion.outcomes import Outcome
from gates.promotion.production import CORRECT, ProductionFacts, Review
from gates.promotion.report import Report, StageReport
from gates.promotion.rule import Bounds
from gates.promotion.staging import LoadGate, Measurements

MAX_OUTCOMES = 8 * 1024 * 1024
Given = Annotated[str, msgspec.Meta(max_length=300, pattern=STORABLE)]


class Posted(msgspec.Struct, forbid_unknown_fields=True):
    """One outcome. `request_id` is the answer's `x-request-id`; a model that is sticky is joined by the `key` of the
    user. `time` is when the request was answered, ISO 8601 or seconds since the epoch. `version` is the answer's
    `x-penstock-version`: with it nothing has to be worked out. With a `prediction`, the value is 1 where it is the
    `value`, and 0 where it is not."""

    value: float | bool | str
    time: float | str
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=STORABLE)] = CORRECT
    request_id: Given = ""
    key: Given = ""
    version: Given = ""
    prediction: float | bool | str | None = None
    model: Name = ""


Many = list[Posted] | Posted
OUTCOMES: Mapping[str, Any] = {
    "label": {"request_id": "5f0c9a1e", "time": "2026-11-02T10:00:00Z", "value": "fraud", "prediction": "fraud"},
    "many": [
        {"request_id": "5f0c9a1e", "time": "2026-11-02T10:00:00Z", "value": 1},
        {"key": "user-17", "time": 1793613600, "name": "revenue", "value": 12.5, "version": "42"},
    ],
}
REPORT = Report.of(
    *("fraud_detector", "42", "40", 1793613600.0),
    [
        StageReport.of(
            "staging",
            [
                LoadGate(name="latency_p95", measure="latency", bounds=Bounds(most=0.025, unit="s")).judge(
                    Measurements(600, latencies={0.95: 0.041}, source="Locust on http://staging:5001")
                )
            ],
        )
    ],
)


class Approval(msgspec.Struct, forbid_unknown_fields=True):
    """A person's review of a version."""

    candidate: Version
    review: Review
    by: Name = ""
    note: Reason = ""


class Whom(msgspec.Struct):
    """Of which version; the newest rollout's candidate where it is not said."""

    candidate: Name = ""


class Outcomes:
    """Each endpoint is one call of the controller."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def operations(self) -> list[Operation]:
        model = "/api/models/{model}"
        return [
            Operation(
                *("POST", "/api/outcomes", "What came of answers: one, or a list of many.", self._post),
                body=Many,
                max_body=MAX_OUTCOMES,
                examples=OUTCOMES,
                answer=Receipt,
            ),
            Operation(
                *("GET", f"{model}/production", "What is on record of a candidate, as gates read it.", self._facts),
                query=Whom,
                answer=ProductionFacts,
            ),
            Operation(
                *("POST", f"{model}/approvals", "Put a person's review of a version on record.", self._approve),
                body=Approval,
                answer=ProductionFacts,
            ),
            Operation(
                *("POST", f"{model}/reports", "Put a report of penstock gate on record.", self._report),
                body=Report,
                max_body=MAX_OUTCOMES,
                examples={"staging": REPORT},
                answer=Report,
            ),
        ]

    async def _post(self, call: Call) -> Receipt:
        posted: list[Posted] = call.body if isinstance(call.body, list) else [call.body]
        by_model: dict[str, list[Outcome]] = {}
        for one in posted:
            by_model.setdefault(self._model_of(one), []).append(_outcome(one))
        receipts = [await self._controller.promotions.post(model, some) for model, some in by_model.items()]
        unjoined: dict[str, int] = {}
        for receipt in receipts:
            for reason, count in receipt.unjoined.items():
                unjoined[reason] = unjoined.get(reason, 0) + count
        return Receipt(sum(r.new for r in receipts), sum(r.duplicates for r in receipts), unjoined)

    async def _facts(self, call: Call) -> ProductionFacts:
        return await self._controller.promotions.facts(call.model, call.query.candidate)

    async def _approve(self, call: Call) -> ProductionFacts:
        body: Approval = call.body
        await self._controller.promotions.approve(call.model, body.candidate, body.review, call.caller, body.note)
        return await self._controller.promotions.facts(call.model, body.candidate)

    async def _report(self, call: Call) -> Report:
        report: Report = call.body
        if report.model != call.model:
            raise Refusal(422, "bad_body", f"the report is of model {report.model!r}")
        if "\0" in report.candidate:
            raise Refusal(422, "bad_body", "the candidate has a NUL in it")
        await self._controller.promotions.record(report, call.caller)
        return report

    def _model_of(self, posted: Posted) -> str:
        """Raises Refusal, before any of the outcomes is kept."""
        known = self._controller.model_names
        if posted.model in known:
            return posted.model
        if posted.model:
            cause = f"there is no model {posted.model!r}"
            raise Refusal(422, "bad_body", cause, f"expected one of: {', '.join(known)}")
        if len(known) != 1:
            raise Refusal(422, "bad_body", "an outcome names no model", f"expected model, one of: {', '.join(known)}")
        return known[0]


def _outcome(posted: Posted) -> Outcome:
    """Raises Refusal."""
    at, unit = _seconds(posted.time), posted.key or posted.request_id
    if not unit:
        raise Refusal(422, "bad_body", "an outcome has neither request_id nor key", "send the answer's x-request-id")
    # A user has many requests: they are told apart by their time where they have no id.
    identity = posted.request_id or f"{posted.key}@{at!r}"
    return Outcome(identity, unit, posted.name, _number(posted), at, posted.version)


def _number(posted: Posted) -> float:
    if posted.prediction is not None:
        return float(str(posted.prediction) == str(posted.value))
    try:
        value = float(posted.value)
    except ValueError:
        remedy = "send the prediction beside a label, or a number"
        raise Refusal(422, "bad_body", f"value {posted.value!r} is no number", remedy) from None
    if not math.isfinite(value):
        raise Refusal(422, "bad_body", "a value is not finite")
    return value


def _seconds(time: Any) -> float:
    if isinstance(time, str):
        try:
            parsed = datetime.fromisoformat(time)
        except ValueError:
            raise Refusal(422, "bad_body", f"time {time!r}", "expected ISO 8601, or seconds since the epoch") from None
        if parsed.tzinfo is None:
            raise Refusal(422, "bad_body", f"time {time!r} has no time zone", "add Z, or an offset")
        return parsed.timestamp()
    if not math.isfinite(time):
        raise Refusal(422, "bad_body", "a time is not finite")
    return float(time)
