"""`penstock audit`: what it finds in a store that somebody has been at."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gates.adapters.store import SqlStore
from gates.cli import run
from gates.exits import Exit
from gates.state import AuditRow, Commit
from proxy.snapshot import Snapshot


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A store with six audit rows, in four commits."""
    file = tmp_path / "penstock.db"
    store = SqlStore(f"sqlite:///{file}")
    store.load()
    for generation, models in enumerate(("a", "ab", "a", "ab"), 1):
        rows = tuple(
            AuditRow(generation, 1.7e9, model, "r1", "climb", "ada", "größer", "ramp", 2, "{}") for model in models
        )
        store.commit(Commit(Snapshot(generation, ()), rows))
    store.close()
    return file


def tamper(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as db, db:
        db.executescript(statement)


def verify(database: Path, *more: str) -> int:
    return run(["audit", "verify", "--store", f"sqlite:///{database}", *more])


def test_a_trail_that_holds_tells_its_head(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(database) == 0
    said = capsys.readouterr().out
    assert said.startswith("the audit trail holds: 6 rows, head ")
    assert verify(database, "--kept", said.split()[-1]) == 0
    capsys.readouterr()
    assert verify(database, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"holds": True, "rows": 6, "head": said.split()[-1]}
    tamper(database, "DELETE FROM audit WHERE id = 3")
    assert verify(database, "--json") == Exit.BROKEN
    told = json.loads(capsys.readouterr().out)
    assert (told["holds"], told["rows"]) == (False, 2)
    assert "does not follow row 2" in told["problem"]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "UPDATE audit SET reason = 'grosser' WHERE id = 3",
            "row 3 (climb of b, generation 2) is not what was written",
        ),
        ("UPDATE audit SET hash = 'x' WHERE id = 3", "row 3 (climb of b, generation 2) is not what was written"),
        ("DELETE FROM audit WHERE id = 3", "row 4 (climb of a, generation 3) does not follow row 2"),
        ("DELETE FROM audit WHERE id = 1", "row 2 (climb of a, generation 2) does not follow the beginning"),
        (
            "UPDATE audit SET id = -1 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = 5;"
            "UPDATE audit SET id = 5 WHERE id = -1",
            "row 4 (climb of a, generation 4) does not follow row 3",
        ),
        ("UPDATE audit SET id = 99 WHERE id = 2", "row 3 (climb of b, generation 2) does not follow row 1"),
        ("DELETE FROM audit WHERE id > 4", "the trail ends at row 4, and its head is that of another"),
        ("DELETE FROM audit", "the trail ends at the beginning, and its head is that of another"),
    ],
)
def test_the_first_row_that_does_not_hold_is_named(
    database: Path, statement: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(database, statement)
    assert verify(database) == Exit.BROKEN
    assert told in capsys.readouterr().err


def test_a_head_that_was_kept_finds_what_the_store_alone_cannot(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verify(database)
    kept = capsys.readouterr().out.split()[-1]
    tamper(database, "DELETE FROM audit WHERE id > 4")
    tamper(database, "UPDATE head SET audited = (SELECT hash FROM audit WHERE id = 4)")
    assert verify(database) == 0
    assert verify(database, "--kept", kept) == Exit.BROKEN
    assert "was cut or written anew" in capsys.readouterr().err


def test_the_trail_is_copied_out_in_order(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "export", "--store", f"sqlite:///{database}"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["previous"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]


def test_the_store_is_that_of_the_configuration(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = database.with_name("penstock.yaml")
    models = {"m": {"servers": {"1": ["http://127.0.0.1:1"]}, "champion": "1"}}
    config.write_text(json.dumps({"store": f"sqlite:///{database}", "models": models}))
    assert run(["audit", "verify", "--config", str(config)]) == 0
    assert "6 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    "url", ["sqlite:///{}/nowhere.db", "nonsense", "postgresql+psycopg://ada:s3cret@127.0.0.1:1/p"]
)
def test_a_store_that_is_not_there_is_no_verdict(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "verify", "--store", url.format(tmp_path)]) == Exit.UNAVAILABLE
    assert "s3cret" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [], "nothing is made"
