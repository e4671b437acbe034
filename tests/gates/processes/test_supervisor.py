"""The supervisor, with real processes: what it does about children that die, and what it tells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.exits import Exit
from gates.processes.child import describe
from gates.processes.supervisor import Patience
from tests.gates.processes.supervised import (
    BROKEN,
    ENVIRONMENT,
    ONCE_CONTROL_IS_UP,
    PLAIN,
    SUPERVISE,
    Supervise,
    until,
)
from tests.servers import START_PATIENCE


def test_a_killed_child_is_replaced_at_once(supervise: Supervise) -> None:
    run = supervise({"worker": PLAIN})
    ((_, _, first),) = run.wait_for("up")
    os.kill(first, signal.SIGKILL)
    second = run.wait_for("up", 2)[1][2]
    assert second != first
    assert f"worker (pid {first}) was ended by SIGKILL" in run.said()
    assert "starting it again now" in run.said()
    assert run.process.poll() is None


def test_deaths_in_a_row_are_further_and_further_apart(supervise: Supervise) -> None:
    run = supervise({"worker": BROKEN})
    run.wait_for("up", 6)
    assert "ended with status 7" in run.said()
    pauses = [line.rpartition("again ")[2] for line in run.said().splitlines() if "starting it again" in line]
    assert pauses[:5] == ["now", "in 0.05 s", "in 0.1 s", "in 0.2 s", "in 0.2 s"]


def test_a_settled_life_clears_the_record(supervise: Supervise) -> None:
    run = supervise({"worker": PLAIN}, settled=0.2, pause=30.0, longest_pause=30.0)
    for life in range(1, 4):
        pid = run.wait_for("up", life)[-1][2]
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
    run.wait_for("up", 4)
    assert run.said().count("starting it again now") == 3


@given(st.integers(1, 10_000), st.floats(0.001, 10), st.floats(10, 100))
def test_a_pause_never_shrinks_and_never_passes_its_cap(deaths: int, pause: float, longest: float) -> None:
    patience = Patience(pause=pause, longest_pause=longest)
    assert patience.before_try(1) == 0
    assert 0 <= patience.before_try(deaths) <= patience.before_try(deaths + 1) <= longest


def test_what_does_not_start_is_reported_with_its_last_words(supervise: Supervise) -> None:
    run = supervise({"control": BROKEN}, {"worker": PLAIN}, report_after=3)
    until(lambda: {name for name, _, _ in run.notes("up")} == {"control", "worker"}, "both")
    until(lambda: "control has ended 3 times in a row" in run.said())
    assert "Its last words:\n    no such table: rollouts\n" in run.said()
    assert run.process.poll() is None, "the workers serve on without a control plane"
    assert [name for name, _, _ in run.notes("up")].count("worker") == 1


def test_it_gives_up_where_a_vital_child_never_comes_up(supervise: Supervise) -> None:
    run = supervise({"control": PLAIN, "worker": ONCE_CONTROL_IS_UP + BROKEN}, vital=True, give_up_after=4)
    assert run.ended() == Exit.UNAVAILABLE
    assert "has not come up in 4 tries: giving up" in run.said()
    assert [name for name, _, _ in run.notes("done")] == ["control"], "the others are stopped in order"


def test_a_program_that_is_not_there_counts_as_a_death(tmp_path: Path) -> None:
    service = {"name": "worker", "command": [str(tmp_path / "none")], "grace": 1, "vital": True}
    asked = json.dumps({"groups": [[service]], "patience": {"pause": 0.01, "give_up_after": 3}})
    command = [sys.executable, "-c", SUPERVISE, asked]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=START_PATIENCE)
    assert done.returncode == Exit.UNAVAILABLE
    assert "worker could not be started" in done.stderr


def test_what_children_say_is_passed_on(supervise: Supervise) -> None:
    long = (
        "on_term(); sys.stderr.write('x' * 300_000 + '\\nlast line\\n'); sys.stderr.flush(); note('up'); time.sleep(60)"
    )
    run = supervise({"worker": long})
    run.wait_for("up")
    until(lambda: "last line\n" in run.said())
    assert run.said().count("x" * 1000) == 300


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "ended with status 0"), (-9, "was ended by SIGKILL"), (-100, "was ended by signal 100")],
)
def test_statuses_in_words(status: int, words: str) -> None:
    assert describe(status) == words
