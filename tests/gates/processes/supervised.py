"""A supervisor in a process of its own, over small children that keep a journal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.servers import START_PATIENCE

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

SUPERVISE = """
import json, logging, sys
from gates.processes.child import Service
from gates.processes import supervisor
from gates.processes.supervisor import Patience, Supervisor
asked = json.loads(sys.argv[1])
supervisor._SECOND_THOUGHT = asked.get("second_thought", supervisor._SECOND_THOUGHT)
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
ONCE_CONTROL_IS_UP = "while not (os.path.exists(journal) and 'control up' in open(journal).read()): time.sleep(0.01)\n"


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
        return self.process.wait(START_PATIENCE)


def until(holds: Callable[[], bool], what: str = "") -> None:
    deadline = time.monotonic() + START_PATIENCE
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


def child(name: str, code: str, journal: Path) -> list[str]:
    return [sys.executable, "-S", "-c", CHILD + code, name, str(journal)]
