"""Load on a proxy: as much as it takes (wrk), or at a fixed rate (`paced`)."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from loadtests.bench.processes import HOST, ROOT, BenchError

_SCRIPT = Path(__file__).with_name("load.lua")
_GRACE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Load:
    """What a client saw. Latencies are in seconds; what counts as a failure is the client's to say."""

    requests: int
    seconds: float
    p50: float
    p99: float
    p999: float
    failures: int

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds


def flood(port: int, connections: int, seconds: int, body: Path, models: int) -> Load:
    """wrk: each of `connections` sends its next request when the last is answered. A failure is a status of 400 or
    more, a reset or no answer in time; wrk does not notice an orderly close in the midst of an answer."""
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += ["--timeout", "10s", "--latency", "--script", str(_SCRIPT), f"http://{HOST}:{port}"]
    return _result([*command, "--", str(body), str(models)], seconds)


def pace(port: int, rate: float, seconds: int, body: Path, answer: Path) -> Load:
    """`rate` requests a second, whether or not those before them have been answered. A failure is all that is not
    `answer` with status 200."""
    command = [sys.executable, "-m", "loadtests.bench.paced", str(port), f"{rate:.3f}", str(seconds)]
    return _result([*command, str(body), str(answer)], seconds)


def _result(command: list[str], seconds: int) -> Load:
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds + _GRACE_SECONDS, cwd=ROOT)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]} did not end {_GRACE_SECONDS} s after its time") from None
    lines = done.stdout.decode().splitlines()
    if done.returncode or not lines:
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode()}")
    return msgspec.json.decode(lines[-1], type=Load)
