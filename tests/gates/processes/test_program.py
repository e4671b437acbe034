"""The supervisor as a program, with real workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest

from gates.exits import Exit
from tests.gates.processes.supervised import (
    ENVIRONMENT,
    gone,
    until,
)
from tests.servers import START_PATIENCE


def supervisor(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gates.processes.supervisor", *arguments]


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = supervisor("--listen", address, "--workers", "2", "--control", "http://127.0.0.1:9")
        done = subprocess.run(
            command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, timeout=START_PATIENCE
        )
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
            until(partial(gone, pids[-1]), "its end")
            alive(url)
            until(partial(said, log, f"(pid {pids[-1]}) was ended"), "the note of a death")
            until(partial(counted, log, started), "the one that takes its place")
        process.send_signal(signal.SIGINT)
        assert process.wait(START_PATIENCE) == 0
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
    with urlopen(f"{url}/-/live", timeout=START_PATIENCE) as answer:
        assert answer.status == 200
