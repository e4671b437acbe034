"""One child process of the supervisor: started, bound to its parent's life, listened to, and buried.

A child gets a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone and a stop keeps its
order. When the supervisor is killed outright, the kernel sends each child SIGTERM (PR_SET_PDEATHSIG), and it drains as
ever. A pipe for the child to watch would do as much, but with the child's help; the signal needs none. It counts from
the thread that forks, so children are started from the main thread. Only Linux has it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

_PR_SET_PDEATHSIG = 1
_WORDS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Service:
    """A process to keep alive. `descriptors` are open in it under the same numbers; `grace` is the seconds that it has
    from SIGTERM to SIGKILL. Where a `vital` one never comes up there is nothing to serve. One that `reloads` is passed
    each SIGHUP."""

    name: str
    command: tuple[str, ...]
    descriptors: tuple[int, ...] = ()
    grace: float = 45.0
    vital: bool = False
    reloads: bool = False


class Child:
    """A service and the process that runs it now, if any. Times are of the monotonic clock."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.due = 0.0
        """When it is to be started, while there is no process."""
        self.deaths = 0
        """In a row, none of them after a settled life."""
        self.came_up = False
        self.last_words = b""

    def __str__(self) -> str:
        return f"{self.service.name} (pid {self.process.pid})" if self.process else self.service.name

    def fileno(self) -> int:
        """Where the process's standard error is read: a child can stand in a selector."""
        assert self.process is not None
        assert self.process.stderr is not None
        return self.process.stderr.fileno()

    def start(self, now: float) -> None:
        """Raises OSError or subprocess.SubprocessError where there can be no process."""
        self.started = now
        self.last_words = b""
        self.process = subprocess.Popen(
            self.service.command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=self.service.descriptors,
            process_group=0,
            preexec_fn=_bound_to_parent(),
        )
        os.set_blocking(self.fileno(), False)

    def read(self) -> bytes | None:
        """What the process has written since the last read; None where there is nothing yet, b"" at its end."""
        try:
            data = os.read(self.fileno(), 65_536)
        except BlockingIOError:
            return None
        self.last_words = (self.last_words + data)[-_WORDS_KEPT:]
        return data

    def signal(self, number: signal.Signals) -> None:
        """To the process, if it lives: a pid is never signalled after it has been waited for."""
        if self.process is not None:
            self.process.send_signal(number)

    def bury(self, now: float, settled: float) -> None:
        """Forget the process; a life of `settled` seconds clears the record."""
        if self.process is not None and self.process.stderr is not None:
            self.process.stderr.close()
        self.process = None
        if now - self.started >= settled:
            self.came_up = True
            self.deaths = 0
        self.deaths += 1


def describe(status: int) -> str:
    """A status of Popen in words: negative ones are signals."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _bound_to_parent() -> Callable[[], None] | None:
    """What the child does between fork and exec, with all that it needs looked up before the fork."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:  # it died before the call, and the signal will not come
            os._exit(1)

    return bind
