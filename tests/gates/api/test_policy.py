"""A policy that changes without a model: callers ask for it, agreement is judged by it, and the record tells who."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.badfiles import GOOD, restore
from tests.control import MODEL, Desk, in_loop
from tests.gates.api.asking import HERE, client_of, refusal
from tests.gates.test_reload import FileDesk

POLICY = """\
    agreement: {kind: probability, threshold: block}
    policy:
      version: "2.1"
      thresholds: {block: 0.7, manual_review: 0.4}
      rules: {high_value: 10000, strict_countries: [NG, PK], geo_blocking: true}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "penstock.yaml"
    restore(file, GOOD.replace('    champion: "40"\n', f'    champion: "40"\n    candidate: "42"\n{POLICY}'))
    return file


@in_loop
async def test_callers_are_told_what_is_configured_and_nothing_twice(path: Path) -> None:
    async with FileDesk(path) as desk, client_of(desk) as client:
        answer = await client.get(f"{HERE}/policy")
        assert answer.json() == {
            "model": MODEL,
            "policy": {
                "version": "2.1",
                "thresholds": {"block": 0.7, "manual_review": 0.4},
                "rules": {"high_value": 10000, "strict_countries": ["NG", "PK"], "geo_blocking": True},
            },
        }
        known = {"if-none-match": answer.headers["etag"]}
        again = await client.get(f"{HERE}/policy", headers=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
        desk.write("manual_review: 0.4", "manual_review: 0.5")
        await desk.reloader.reload("meera", "fewer reviews")
        assert (await client.get(f"{HERE}/policy", headers=known)).json()["policy"]["thresholds"][
            "manual_review"
        ] == 0.5


@in_loop
async def test_a_threshold_moves_at_once_with_what_agreement_is_judged_by_and_is_on_record(path: Path) -> None:
    """The evidence begins anew: pairs that were compared by the old threshold say nothing of the new one."""
    async with FileDesk(path) as desk:
        assert desk.route.agreement.threshold == 0.7
        epoch = desk.route.epoch
        desk.write("block: 0.7", "block: 0.75")
        desk.write('version: "2.1"', 'version: "2.2"')
        await desk.reloader.reload("meera", "fewer blocks")
        assert desk.route.agreement.threshold == 0.75
        assert desk.route.epoch > epoch
        assert desk.rollout.reason == "the configuration changed the agreement"
        row = desk.store.audit[-1]
        assert (row.event, row.by) == ("reload", "meera")
        assert f"models.{MODEL}.policy.thresholds.block: 0.7 -> 0.75" in row.reason
        assert "fewer blocks" in row.reason


@in_loop
async def test_rules_alone_leave_a_rollout_as_it_is(path: Path) -> None:
    async with FileDesk(path) as desk:
        before = desk.route
        desk.write("high_value: 10000", "high_value: 20000")
        await desk.reloader.reload("meera")
        assert desk.route == before
        assert "policy.rules.high_value: 10000 -> 20000" in desk.store.audit[-1].reason


@in_loop
async def test_a_model_without_one_says_so() -> None:
    async with Desk() as desk, client_of(desk) as client:
        assert refusal(await client.get(f"{HERE}/policy")) == (404, "no_policy")
        assert refusal(await client.get("/api/models/nobody/policy")) == (404, "unknown_model")
