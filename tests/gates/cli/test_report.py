"""`penstock report`: a month of the audit trail."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gates.adapters.store import SqlStore
from gates.cli import run
from gates.controller.controller import Controller
from gates.controller.monthly import Month
from gates.decision import Command
from gates.exits import Exit
from gates.phases import Event
from tests.control import MODEL, model_settings, settings_of
from tests.fakes import FakeClock

NOVEMBER = 1_793_491_200.0  # 2026-11-01 00:00 UTC


@pytest.fixture
def store(tmp_path: Path) -> str:
    """One rollout in October, two in November: promoted, and rolled back; and a way back."""
    url = f"sqlite:///{tmp_path / 'penstock.db'}"
    opened = SqlStore(url)
    asyncio.run(_live(opened))
    opened.close()
    return url


async def _live(opened: SqlStore) -> None:
    model = replace(model_settings(), candidate=None)
    names, clock = count(1), FakeClock(now=NOVEMBER - 86_400 * 3)
    controller = Controller(settings_of(model), opened, clock, lambda: f"r{next(names)}", None)
    await controller.start()
    await controller.start_rollout(MODEL, "43", "ada", "first try")
    await controller.command(MODEL, Command(Event.ROLL_BACK, "ada", "odd | scores <b>"))
    clock.now = NOVEMBER + 86_400
    await controller.start_rollout(MODEL, "42", "ada", "second try")
    await controller.promotions.approve(MODEL, "42", "business", "bo", "meets the goals")
    await controller.command(MODEL, Command(Event.PROMOTE, "bo", "all well"))
    await controller.revert(MODEL, "previous", "cy", "wrong since last week")
    await controller.stop()


def test_a_month_holds_what_happened_in_it(store: str, capfd: Any) -> None:
    assert run(["report", "--month", "2026-11", "--store", store]) == Exit.GO
    text = capfd.readouterr().out
    assert "# Model rollouts in November 2026" in text
    assert "| rollouts started | 1 |" in text
    assert "| 42 | 40 | 2026-11-02 00:00 | 2026-11-02 00:00 | promoted | bo | all well |" in text
    assert "**approve** by bo: business review of version 42: meets the goals" in text
    assert "**revert** by cy: champion 42 -&gt; 40" in text or "**revert** by cy: champion 42 -> 40" in text
    assert "first try" not in text


def test_as_a_page_it_holds_no_markup_of_others(store: str, tmp_path: Path) -> None:
    file = tmp_path / "october.html"
    asked = ["report", "--month", "2026-10", "--format", "html", "--store", store, "--output", str(file)]
    assert run(asked) == Exit.GO
    page = file.read_text()
    assert "<td>43</td>" in page
    assert "odd | scores &lt;b&gt;" in page or "odd | scores &lt;b>" in page
    assert "<b>" not in page


def test_for_programs_it_is_json(store: str, capfd: Any) -> None:
    assert run(["report", "--month", "2026-11", "--store", store, "--json"]) == Exit.GO
    report = json.loads(capfd.readouterr().out)
    assert (report["counts"]["started"], report["counts"]["promoted"], report["counts"]["reverted"]) == (1, 1, 1)
    (model,) = report["models"]
    (trial,) = model["rollouts"]
    assert (trial["candidate"], trial["came_to"], trial["by"]) == ("42", "promoted", "bo")
    assert trial["began"] == trial["ended"] == NOVEMBER + 86_400
    assert [told["event"] for told in model["others"]] == ["approve", "revert"]


def test_a_month_in_which_nothing_happened_is_told_as_such(store: str, capfd: Any) -> None:
    assert run(["report", "--month", "2025-01", "--store", store]) == Exit.GO
    assert "| rollouts started | 0 |" in capfd.readouterr().out


def test_what_is_wrong_is_told(store: str, capfd: Any) -> None:
    assert run(["report", "--month", "November", "--store", store]) == Exit.USAGE
    assert run(["report", "--format", "pdf", "--store", store]) == Exit.USAGE
    assert run(["report", "--store", "sqlite:////nowhere/at/all.db"]) == Exit.UNAVAILABLE


def test_december_ends_with_the_year() -> None:
    assert Month.of("2026-12").end == Month.of("2027-01").first
