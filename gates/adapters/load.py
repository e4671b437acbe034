"""A load on a model server, run by Locust in a process of its own, with an eye on what the server takes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from gates.promotion.staging import Measurements
from gates.shipped import shipped

Shape = Literal["steady", "ramp", "spike"]
SHAPES: tuple[Shape, ...] = ("steady", "ramp", "spike")
_GRACE = 60.0  # seconds that Locust may take beyond the load's own
_LOOK_EVERY = 0.2
_FILE = "loadtests/model_load.py"


class LoadError(Exception):
    """The load could not be run: nothing was measured."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: `rate` requests a second of each of `users`, for so many seconds, to `path`."""

    users: int = 10
    rate: float = 2.0
    seconds: float = 30.0
    shape: Shape = "steady"
    path: str = "/invocations"


class _Figures(msgspec.Struct):
    requests: int
    failures: int
    seconds: float
    latencies: dict[str, float | None]


def run(load: Load, host: str, payload: Path | None) -> Measurements:
    """Locust's table and its progress go to standard error. Raises LoadError."""
    if importlib.util.find_spec("locust") is None:
        raise LoadError("locust is not installed: pip install 'penstock[loadtest]'")
    with tempfile.TemporaryDirectory(prefix="penstock-load-") as folder:
        summary = Path(folder) / "summary.json"
        command = [sys.executable, "-m", "locust", "-f", str(shipped(_FILE)), "--headless", "--only-summary"]
        command += ["--host", host, "--users", str(load.users), "--run-time", f"{load.seconds:.0f}s"]
        command += ["--rate", str(load.rate), "--shape", load.shape, "--path", load.path, "--summary", str(summary)]
        command += ["--payload", str(payload)] if payload else []
        command += ["--exit-code-on-error", "0", "--loglevel", "WARNING"]
        try:
            ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=load.seconds + _GRACE)
        except subprocess.TimeoutExpired:
            raise LoadError(f"Locust did not end {_GRACE:g} s after its time") from None
        except OSError as error:
            raise LoadError(f"Locust could not be started: {error}") from None
        try:
            figures = msgspec.json.decode(summary.read_bytes(), type=_Figures)
        except (OSError, ValueError):
            raise LoadError(
                f"Locust ended with status {ended.returncode} and no figures; its words stand above"
            ) from None
    latencies = {float(q): seconds for q, seconds in figures.latencies.items() if seconds is not None}
    return Measurements(figures.requests, figures.failures, figures.seconds, latencies, source=f"Locust on {host}")


class ResourceWatch(AbstractContextManager["ResourceWatch"]):
    """What a process and its children take while the `with` lasts."""

    def __init__(self, pid: int) -> None:
        import psutil

        self.memory = 0.0
        """The most resident bytes that were seen."""
        self._process = psutil.Process(pid)
        self._began = self._ended = (0.0, 0.0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="resources", daemon=True)

    @property
    def cpu(self) -> float | None:
        """The share of the machine's cores that it kept busy."""
        import psutil

        seconds, busy = self._ended[0] - self._began[0], self._ended[1] - self._began[1]
        return busy / seconds / (psutil.cpu_count() or 1) if seconds > 0 else None

    def __enter__(self) -> Self:
        self._began = self._ended = self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            self._ended = self._look()

    def _look(self) -> tuple[float, float]:
        """(monotonic seconds, processor seconds); a child that ends between two looks takes its own with it."""
        import time

        import psutil

        resident, busy = 0, 0.0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                resident += process.memory_info().rss
                times = process.cpu_times()
                busy += times.user + times.system
            except psutil.NoSuchProcess:
                continue
        self.memory = max(self.memory, float(resident))
        return time.monotonic(), busy
