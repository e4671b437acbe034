"""The supervisor, with real processes: small ones that keep a journal, and real workers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.exits import Exit
from gates.processes.child import describe
from gates.processes.supervisor import Patience

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

SUPERVISE = """
import json, logging, sys
from gates.processes.child import Service
from gates.processes.supervisor import Patience, Supervisor
asked = json.loads(sys.argv[1])
logging.basicConfig(level=logging.INFO, format="%(message)s")
groups = [
    [Service(s["name"], tuple(s["command"]), (), s["grace"], s["vital"], s["name"] == "control") for s in g]
    for g in asked["groups"]
]
sys.exit(Supervisor(groups, Patience(**asked["patience"])).run())
"""
# What a child has at hand: `note` writes a line with its name and pid to the journal, `on_term` sets its drain.
CHILD = """
import os, signal, sys, time
name, journal = sys.argv[1:]
def note(what):
    with open(journal, "a") as file:
        file.write(f"{name} {what} {os.getpid()}\\n")
def on_term(*steps):
    def drain(*_):
        for step in steps:
            note(step) if isinstance(step, str) else time.sleep(step)
        os._exit(0)
    signal.signal(signal.SIGTERM, drain)
"""
PLAIN = "on_term('term', 'done'); note('up')\nwhile True: time.sleep(60)"
SLOW = "on_term('term', 0.4, 'done'); note('up')\nwhile True: time.sleep(60)"
STUBBORN = "signal.signal(signal.SIGTERM, lambda *_: note('term')); note('up')\nwhile True: time.sleep(60)"
RELOADS = "signal.signal(signal.SIGHUP, lambda *_: note('hup'));" + PLAIN
BROKEN = "note('up'); print('no such table: rollouts', file=sys.stderr); sys.exit(7)"


@dataclass
class Run:
    """A supervisor under test and the journal of its children."""

    process: subprocess.Popen[bytes]
    journal: Path
    output: Path

    def notes(self, what: str = "") -> list[tuple[str, str, int]]:
        text = self.journal.read_text() if self.journal.exists() else ""
        lines = [line.split() for line in text.splitlines()]
        return [(name, noted, int(pid)) for name, noted, pid in lines if what in ("", noted)]

    def wait_for(self, what: str, times: int = 1) -> list[tuple[str, str, int]]:
        until(lambda: len(self.notes(what)) >= times, f"{times} x {what!r}: {self.notes()}\n{self.said()}")
        return self.notes(what)

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def ended(self) -> int:
        return self.process.wait(60)


def until(holds: Callable[[], bool], what: str = "") -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether the process is no more, or waits only for its burial."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


Supervise = Callable[..., Run]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    runs: list[Run] = []

    def start(*groups: dict[str, str], grace: float = 30.0, vital: bool = False, **patience: float) -> Run:
        run_dir = tmp_path / str(len(runs))
        run_dir.mkdir()
        journal, output = run_dir / "journal", run_dir / "output"
        services = [
            [
                {"name": name, "command": child(name, code, journal), "grace": grace, "vital": vital}
                for name, code in group.items()
            ]
            for group in groups
        ]
        asked = json.dumps({"groups": services, "patience": {"pause": 0.05, "longest_pause": 0.2, **patience}})
        with output.open("wb") as file:
            command = [sys.executable, "-c", SUPERVISE, asked]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=file, env=ENVIRONMENT)
        runs.append(Run(process, journal, output))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()
        for _, _, pid in run.notes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def child(name: str, code: str, journal: Path) -> list[str]:
    return [sys.executable, "-S", "-c", CHILD + code, name, str(journal)]


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
    run.wait_for("up", 5)
    until(lambda: "control has ended 3 times in a row" in run.said())
    assert "Its last words:\n    no such table: rollouts\n" in run.said()
    assert run.process.poll() is None, "the workers serve on without a control plane"
    assert [name for name, _, _ in run.notes("up")].count("worker") == 1


def test_it_gives_up_where_a_vital_child_never_comes_up(supervise: Supervise) -> None:
    run = supervise({"control": PLAIN, "worker": BROKEN}, vital=True, give_up_after=4)
    assert run.ended() == Exit.UNAVAILABLE
    assert "has not come up in 4 tries: giving up" in run.said()
    assert [name for name, _, _ in run.notes("done")] == ["control"], "the others are stopped in order"


def test_a_program_that_is_not_there_counts_as_a_death(tmp_path: Path) -> None:
    service = {"name": "worker", "command": [str(tmp_path / "none")], "grace": 1, "vital": True}
    asked = json.dumps({"groups": [[service]], "patience": {"pause": 0.01, "give_up_after": 3}})
    command = [sys.executable, "-c", SUPERVISE, asked]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.UNAVAILABLE
    assert "worker could not be started" in done.stderr


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
    run = supervise({"control": PLAIN}, {"worker": STUBBORN}, grace=0.3)
    pid = next(pid for name, _, pid in run.wait_for("up", 2) if name == "worker")
    run.process.terminate()
    assert run.ended() == 0
    assert f"worker (pid {pid}) was ended by SIGKILL" in run.said()
    assert ("control", "done") in [(name, what) for name, what, _ in run.notes()]


def test_a_second_ctrl_c_cuts_the_drain_short(supervise: Supervise) -> None:
    run = supervise({"control": PLAIN}, {"worker": STUBBORN}, grace=3600.0)
    run.wait_for("up", 2)
    run.process.send_signal(signal.SIGINT)
    run.process.send_signal(signal.SIGINT)  # the same Ctrl-C, by way of a wrapper
    run.wait_for("term")
    run.process.send_signal(signal.SIGTERM)  # impatient machines do not cut it short
    time.sleep(0.6)
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


def supervisor(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gates.processes.supervisor", *arguments]


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = supervisor("--listen", address, "--workers", "2", "--control", "http://127.0.0.1:9")
        done = subprocess.run(command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == Exit.UNAVAILABLE
    assert done.stderr.splitlines() == [
        f"penstock: cannot listen on {address}: Address already in use; "
        "stop the process that listens there, or choose another port"
    ]


def test_real_workers_share_the_port_and_survive_each_other(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = supervisor("--listen", "127.0.0.1:0", "--workers", "2", "--control", "http://127.0.0.1:9")
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=ENVIRONMENT, cwd=tmp_path, stderr=file)
    try:
        until(lambda: log.read_text().count(" started\n") == 2, "two workers")
        url = log.read_text().partition("data port ")[2].partition(",")[0]
        alive(url)
        for started in (3, 4):
            lines = [line for line in log.read_text().splitlines() if line.endswith(" started")]
            pids = [int(line.partition("(pid ")[2].partition(")")[0]) for line in lines]
            os.kill(pids[-1], signal.SIGKILL)
            alive(url)
            until(partial(said, log, f"(pid {pids[-1]}) was ended"), "the note of a death")
            until(partial(counted, log, started), "the one that takes its place")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert log.read_text().count("was ended by SIGKILL") == 2
        with pytest.raises(OSError, match="refused"):
            alive(url)
    finally:
        process.kill()
        process.wait()


def counted(log: Path, started: int) -> bool:
    return log.read_text().count(" started\n") == started


def said(log: Path, words: str) -> bool:
    return words in log.read_text()


def alive(url: str) -> None:
    with urlopen(f"{url}/-/live", timeout=60) as answer:
        assert answer.status == 200
