"""`penstock replay`: a rollout's record, made again from the store."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gates.adapters.store import SqlStore
from gates.cli import run
from gates.exits import Exit
from gates.state import AuditRow, Commit
from proxy.snapshot import Phase, Snapshot
from tests.control import MODEL, Desk

GATES = "error_rate: {max: 5%}\nagreement: {min: 90%}\n"


async def lived() -> list[AuditRow]:
    """Two rollouts: one rolled back on the ramp, one just begun."""
    async with Desk() as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.RAMP, 500, worker)
        await worker.poll()
        worker.traffic(100, failures=60)
        await desk.wait(1, worker)
        await desk.controller.start_rollout(MODEL, "43", "ada", "another")
        return desk.store.audit


@pytest.fixture(scope="module")
def rows() -> list[AuditRow]:
    return asyncio.run(lived())


@pytest.fixture
def database(rows: list[AuditRow], tmp_path: Path) -> Path:
    return stored(rows, tmp_path / "penstock.db")


def stored(rows: list[AuditRow], file: Path) -> Path:
    store = SqlStore(f"sqlite:///{file}")
    store.load()
    for row in rows:
        store.commit(Commit(Snapshot(row.generation, ()), (row,)))
    store.close()
    return file


def replay(database: Path, *arguments: str) -> int:
    return run(["replay", *arguments, "--store", f"sqlite:///{database}"])


def test_the_same_as_json(database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gates = tmp_path / "gates.yaml"
    gates.write_text("error_rate: {max: 0.1%}\n")
    assert replay(database, "r1", "--gates", str(gates), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["differences"] for each in told["decisions"]] == [[]] * len(told["decisions"])
    assert told["decisions"][0]["row"]["event"] == "start"
    assert not told["under_other_gates"][-1]["same"]


def test_a_rollout_is_made_again_decision_by_decision(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(database, "r1") == 0
    *decisions, last = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[2].partition(",")[0] for line in decisions] == [
        "start -> shadow",
        "climb -> ramp",
        "roll_back -> rolled_back",
    ]
    assert last == "3 decisions, each as it was made"


def test_a_model_stands_for_its_last_rollout(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(database, MODEL) == 0
    assert "1 decisions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("gates", "told"),
    [
        (GATES, "the same decisions"),
        ("error_rate: {max: 90%}\n", "no decision yet, in place of roll_back: waiting for "),
        ("agreement: {min: 99.99%}\n", "no decision yet, in place of climb: waiting for gate agreement"),
    ],
)
def test_other_gates_tell_what_they_would_have_done(
    gates: str, told: str, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = database.with_name("gates.yaml")
    file.write_text(gates)
    assert replay(database, "r1", "--gates", str(file)) == 0
    shown = capsys.readouterr().out
    assert told in shown
    assert shown.endswith("and not between two of them: gates may have acted sooner.\n")


def test_gates_that_are_wrong_are_named_with_their_line(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = database.with_name("gates.yaml")
    file.write_text("error_rate:\n  maxx: 5%\n")
    assert replay(database, "r1", "--gates", str(file)) == Exit.CONFIGURATION
    assert f"{file}:2: error_rate.maxx: unknown key; did you mean max?" in capsys.readouterr().err


def test_a_decision_that_does_not_follow_is_named_though_the_chain_holds(
    rows: list[AuditRow], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = [replace(row, by="eve") if row.event == "roll_back" else row for row in rows]
    assert replay(stored(forged, tmp_path / "p.db"), "r1") == Exit.BROKEN
    shown = capsys.readouterr()
    assert "NOT AS IT WAS: by: eve is on record, controller comes out" in shown.out
    assert "1 of 3 decisions are not what their inputs lead to" in shown.err


def test_a_trail_that_does_not_hold_is_not_replayed(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE audit SET reason = 'x' WHERE id = 2")
    assert replay(database, "r1") == Exit.BROKEN
    assert "the audit trail does not hold: row 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wanted", "told"), [("x", "no rollout on record is 'x'"), ("r", "'r' begins several rollouts")]
)
def test_a_rollout_that_is_not_one_is_refused(
    wanted: str, told: str, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(database, wanted) == Exit.REFUSED
    assert told in capsys.readouterr().err
