"""Processes of a run: each on its core, each stopped by its id, and gone if the benchmark itself is killed."""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
READY_SECONDS = 15.0
STOP_SECONDS = 5.0
_LOG_LINES = 4


class BenchError(Exception):
    """A run that cannot be made, with what to do about it."""


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for the proxy under test, all others for what loads it and what answers it."""

    proxy: int
    others: frozenset[int]

    @classmethod
    def available(cls) -> Cores:
        """Raises BenchError where there are not two."""
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise BenchError("the benchmark needs two cores: one for the proxy under test, one for load and upstreams")
        return cls(cores[-1], frozenset(cores[:-1]))


@dataclass(frozen=True, slots=True)
class Process:
    """A started program, and where it writes."""

    started: subprocess.Popen[bytes]
    name: str
    log: Path

    @property
    def pid(self) -> int:
        return self.started.pid

    def check(self) -> None:
        """Raises BenchError, with the last lines of its log, where it has ended."""
        if self.started.poll() is not None:
            raise BenchError(f"{self.name} ended with {self.started.returncode}:\n{self.last_words()}")

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:])

    def stop(self) -> None:
        self.started.terminate()
        try:
            self.started.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.started.kill()
            self.started.wait()


@contextmanager
def running(command: Sequence[str], log: Path, core: int | None = None) -> Iterator[Process]:
    """Run `command` for the length of the block, on `core` or on the benchmark's own.

    Raises BenchError where it has ended by itself."""
    pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
    with log.open("ab") as output:
        started = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *pinned, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
        )
    process = Process(started, command[0], log)
    try:
        yield process
        process.check()
    finally:
        process.stop()


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives to clients: a flood of connections must not
    take it between here and its server's start."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        return port


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that is taken and that refuses every connection."""
    with socket.socket() as bound:
        bound.bind((HOST, free_port()))
        yield bound.getsockname()[1]


def wait_for_answer(port: int, request: Request, expected: bytes, process: Process | None = None) -> float:
    """Ask until the right answer comes; gives the seconds that it took. Raises BenchError after `READY_SECONDS`, or
    where `process`, which is to give the answer, has ended."""
    start = time.perf_counter()
    seen = "no connection"
    while time.perf_counter() - start < READY_SECONDS:
        if process is not None:
            process.check()
        try:
            status, answer = request.send(port)
        except (OSError, http.client.HTTPException) as error:
            seen = str(error)
        else:
            if status == 200 and answer == expected:
                return time.perf_counter() - start
            seen = f"{status}, {answer[:200]!r}"
        time.sleep(0.005)
    log = process.last_words() if process is not None else ""
    raise BenchError(f"no right answer at port {port} within {READY_SECONDS:.0f} s; the last was: {seen}\n{log}")


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a port of this machine."""

    method: str
    path: str
    body: bytes = b""

    def send(self, port: int) -> tuple[int, bytes]:
        """The status and the body of the answer, on a connection of its own."""
        connection = http.client.HTTPConnection(HOST, port, timeout=5.0)
        try:
            connection.request(self.method, self.path, self.body, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
