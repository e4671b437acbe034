"""A process's log, as it stands on its standard error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEAK = """
import logging
from proxy import logs
logs.configure()
log = logging.getLogger("penstock.test")
log.info("first\\nsecond: %s", "postgresql://ada:hunter2@db/x")
log.warning("of a request", extra={"request_id": "abc"})
logs.REQUEST_ID.set("def")
try:
    raise ValueError("password=hunter2")
except ValueError:
    log.exception("it failed")
log.debug("only where it is asked for")
"""


def lines(**environment: str) -> list[str]:
    command = [sys.executable, "-c", SPEAK]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize("kind", ["console", "json"])
def test_an_event_is_one_line_and_no_secret_is_in_it(kind: str) -> None:
    told = lines(PENSTOCK_LOG=kind)
    assert len(told) == 3
    assert "hunter2" not in "".join(told)
    assert "abc" in told[1]
    assert "def" in told[2]
    assert "ValueError" in told[2]


def test_json_is_for_machines() -> None:
    first, second, third = map(json.loads, lines(PENSTOCK_LOG="json"))
    assert (first["level"], first["logger"], first["message"].splitlines()[0]) == ("info", "penstock.test", "first")
    assert "request_id" not in first
    assert second["request_id"] == "abc"
    assert third["exception"].startswith("Traceback")
    assert first["at"].endswith("+00:00")


def test_the_level_is_the_environments() -> None:
    assert len(lines(PENSTOCK_LOG_LEVEL="debug")) == 4
    assert len(lines(PENSTOCK_LOG_LEVEL="error")) == 1


def test_what_nobody_knows_is_told_and_passed_over() -> None:
    assert "PENSTOCK_LOG is console or json" in lines(PENSTOCK_LOG="xml", PENSTOCK_LOG_LEVEL="loud")[0]
