"""How a supervisor and its children end, by signals and by terminals that go."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.gates.processes.supervised import (
    ENVIRONMENT,
    PLAIN,
    RELOADS,
    SLOW,
    STUBBORN,
    SUPERVISE,
    Run,
    Supervise,
    child,
    gone,
    until,
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_drain_before_the_control_process_is_stopped(supervise: Supervise, number: signal.Signals) -> None:
    run = supervise({"control": PLAIN}, {"worker-1": SLOW, "worker-2": SLOW})
    run.wait_for("up", 3)
    run.process.send_signal(number)
    assert run.ended() == 0
    order = [(name, what) for name, what, _ in run.notes() if what != "up"]
    assert order[-2:] == [("control", "term"), ("control", "done")]
    assert {name for name, what in order[:-2] if what == "done"} == {"worker-1", "worker-2"}


def test_a_hangup_is_passed_to_who_reloads_and_to_nobody_else(supervise: Supervise) -> None:
    run = supervise({"control": RELOADS}, {"worker": RELOADS})
    run.wait_for("up", 2)
    for _ in range(3):
        before = len(run.notes("hup"))
        run.process.send_signal(signal.SIGHUP)
        run.wait_for("hup", before + 1)
    assert {name for name, _, _ in run.notes("hup")} == {"control"}
    run.process.terminate()
    assert run.ended() == 0
    assert run.notes("term"), "a hangup is no end"


def test_a_terminal_that_is_closed_is_the_end(supervise: Supervise, tmp_path: Path) -> None:
    """In a session of its own, whose controlling terminal goes."""
    journal = tmp_path / "journal"
    asked = {"name": "control", "command": child("control", PLAIN, journal), "grace": 30, "vital": False}
    asked_for = json.dumps({"groups": [[asked]], "patience": {}})
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", SUPERVISE, asked_for], ENVIRONMENT)
    try:
        until(lambda: journal.exists() and "up" in journal.read_text(), "the child")
        os.close(terminal)
        until(lambda: "done" in journal.read_text(), "the end of the child")
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, 120), "120 is Python's own, where its last words found no terminal"


def test_who_ignores_sigterm_is_killed_after_the_grace(supervise: Supervise) -> None:
    run = supervise({"control": PLAIN}, {"worker": STUBBORN}, graces={"worker": 0.3})
    pid = next(pid for name, _, pid in run.wait_for("up", 2) if name == "worker")
    run.process.terminate()
    assert run.ended() == 0
    assert f"worker (pid {pid}) was ended by SIGKILL" in run.said()
    assert ("control", "done") in [(name, what) for name, what, _ in run.notes()]


def test_a_second_ctrl_c_cuts_the_drain_short(supervise: Supervise) -> None:
    run = supervise({"control": PLAIN}, {"worker": STUBBORN}, graces={"worker": 3600.0}, second_thought=2.0)
    run.wait_for("up", 2)
    run.process.send_signal(signal.SIGINT)
    run.process.send_signal(signal.SIGINT)  # the same Ctrl-C, by way of a wrapper
    run.wait_for("term")
    run.process.send_signal(signal.SIGTERM)  # impatient machines do not cut it short
    time.sleep(2.1)
    assert run.process.poll() is None
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 0
    assert ("control", "done") in [(name, what) for name, what, _ in run.notes()]


def test_nobody_outlives_a_supervisor_that_is_killed(supervise: Supervise) -> None:
    run = supervise({"control": PLAIN}, {"worker-1": SLOW, "worker-2": SLOW})
    pids = [pid for _, _, pid in run.wait_for("up", 3)]
    run.process.kill()
    until(lambda: all(map(gone, pids)), "the children's end")
    assert {name for name, _, _ in run.notes("done")} == {"control", "worker-1", "worker-2"}, "they drained first"


def test_ctrl_c_in_a_terminal_reaches_the_supervisor_alone(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    hurt = f"signal.signal(signal.SIGINT, lambda *_: note('interrupted')); {SLOW}"
    services = [
        {"name": name, "command": child(name, hurt, journal), "grace": 30, "vital": False} for name in ("a", "b")
    ]
    asked = json.dumps({"groups": [[service] for service in services], "patience": {}})
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, asked],
        env=ENVIRONMENT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    run = Run(process, journal, tmp_path / "none")
    try:
        until(lambda: len(run.notes("up")) == 2)
        os.write(ours, b"\x03")
        assert run.ended() == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert [what for _, what, _ in run.notes()].count("interrupted") == 0
    assert [name for name, what, _ in run.notes() if what == "done"] == ["b", "a"]
