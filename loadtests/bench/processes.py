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


@contextmanager
def running(command: Sequence[str], log: Path, core: int | None = None) -> Iterator[int]:
    """Run `command` for the length of the block, on `core` or on the benchmark's own; gives its process id.

    Raises BenchError where it has ended by itself."""
    pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *pinned, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=ROOT,
        )
    try:
        yield process.pid
        if process.poll() is not None:
            raise BenchError(f"{command[0]} ended with {process.returncode}:\n{_tail(log)}")
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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


def wait_for_answer(port: int, method: str, path: str, body: bytes, expected: bytes, log: Path) -> float:
    """Ask until the right answer comes; gives the seconds that it took. Raises BenchError after `READY_SECONDS`."""
    start = time.perf_counter()
    seen = "no connection"
    while time.perf_counter() - start < READY_SECONDS:
        try:
            status, answer = exchange(port, method, path, body)
        except (OSError, http.client.HTTPException) as error:
            seen = str(error)
        else:
            if status == 200 and answer == expected:
                return time.perf_counter() - start
            seen = f"{status}, {answer[:200]!r}"
        time.sleep(0.005)
    raise BenchError(f"no right answer at port {port} after {READY_SECONDS:.0f} s; the last was: {seen}\n{_tail(log)}")


def exchange(port: int, method: str, path: str, body: bytes = b"", timeout: float = 5.0) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _tail(log: Path, lines: int = 4) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
