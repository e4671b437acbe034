"""Outcomes and reports over HTTP: what is taken, and what is said to what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gates.adapters.outcomes import SqlOutcomes
from gates.api.outcomes import OUTCOMES, REPORT
from tests.control import MODEL, Desk, in_loop, model_settings
from tests.gates.api.asking import HERE, client_of, refusal

POSTED = {"request_id": "a", "time": 1793613600, "value": 1}


def desk(folder: Path) -> Desk:
    return Desk(model_settings(), outcomes=SqlOutcomes(f"sqlite:///{folder / 'outcomes.db'}"))


@pytest.mark.parametrize("name", sorted(OUTCOMES))
def test_what_the_document_shows_is_taken(tmp_path: Path, name: str) -> None:
    @in_loop
    async def posted() -> None:
        async with desk(tmp_path) as started, client_of(started) as client:
            receipt = (await client.post("/api/outcomes", json=OUTCOMES[name])).json()
            many = len(OUTCOMES[name]) if isinstance(OUTCOMES[name], list) else 1
            assert receipt["new"] + receipt["duplicates"] + sum(receipt["unjoined"].values()) == many

    posted()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "missing required field `value`"),
        ([{**POSTED, "valeu": 2}], "unknown field `valeu`"),
        ({**POSTED, "request_id": "a\0b"}, "matching regex"),
        ("text", "got `str`"),
        ([POSTED, {**POSTED, "model": "nobody"}], f'there is no model \'nobody\'","remedy":"expected one of: {MODEL}'),
    ],
)
def test_what_is_not_lawful_is_refused_and_says_why(tmp_path: Path, body: Any, said: str) -> None:
    @in_loop
    async def posted() -> None:
        async with desk(tmp_path) as started, client_of(started) as client:
            answer = await client.post("/api/outcomes", json=body)
            assert answer.status_code == 422, answer.text
            assert said in answer.text

    posted()


def test_a_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    """Outcomes come by the thousand: theirs is wider than that of other operations."""

    @in_loop
    async def posted() -> None:
        async with desk(tmp_path) as started, client_of(started) as client:
            many = [{**POSTED, "request_id": f"{number:0300}"} for number in range(300)]
            assert (await client.post("/api/outcomes", json=many)).status_code == 200
            assert refusal(await client.post("/api/outcomes", content=b" " * (8 * 2**20 + 1))) == (
                413,
                "body_too_large",
            )

    posted()


def test_a_report_goes_on_record_under_its_own_model_alone(tmp_path: Path) -> None:
    @in_loop
    async def recorded() -> None:
        async with desk(tmp_path) as started, client_of(started) as client:
            report = msgspec.to_builtins(REPORT)
            assert (await client.post(f"{HERE}/reports", json=report)).status_code == 200
            newest, *_ = await started.controller.queries.events(MODEL, 1)
            assert (newest.event, newest.reason) == ("gate", "version 42: staging NO-GO")
            for wrong in ({**report, "model": "another"}, {**report, "candidate": "4\0"}, {**report, "light": "RED"}):
                assert refusal(await client.post(f"{HERE}/reports", json=wrong)) == (422, "bad_body")

    recorded()
