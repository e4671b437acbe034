"""Control planes that are told when to die, each forked from one process that has loaded the program already."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from tests.endtoend.controlplane import ROOT, ControlPlane
from tests.servers import bound_socket, origin_of


class Nursery(AbstractContextManager["Nursery"]):
    """One life at a time, all at the same port."""

    def __init__(self) -> None:
        self._place = bound_socket()
        self.port = origin_of(self._place).port
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.endtoend.dying"],
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # threads do not outlive a fork
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what is not read yet shows as such
        )

    def bear(self, config: Path, log: Path, point: str, generation: int) -> ControlPlane:
        """A control plane that dies at this point of this generation's commit."""
        life = {"config": str(config), "log": str(log), "port": self.port, "point": point, "generation": generation}
        self.tell(json.dumps(life))
        return ControlPlane(Life(self, int(self.hear())), self.port, log)

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    def hear(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def spoke(self, seconds: float) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        self._place.close()


class Life:
    """The forked process, with as much of `subprocess.Popen` as a control plane needs."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        ended = self._ended(timeout or 0)
        if ended is None:
            raise subprocess.TimeoutExpired("a control plane", timeout or 0)
        return ended

    def send_signal(self, sig: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, seconds: float) -> int | None:
        if self.returncode is None and self._nursery.spoke(seconds):
            self.returncode = int(self._nursery.hear())
        return self.returncode
