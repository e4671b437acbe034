"""A real `mlflow models serve` process: started, awaited, measured and stopped with nothing left behind."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

_HOST = "127.0.0.1"
_POLL = 0.1  # seconds between two looks at a server that is starting
_DYING = 10.0  # seconds for what was killed to be gone, on a machine that gives its parent no time
_TAIL_LINES = 15  # of the log, quoted when a server dies

# Runs `mlflow` as `python -m mlflow` would, on a leash: nothing is ever written to its standard input, whose other end
# only our process holds, so that reading it returns when our process is gone, however it went (kill -9 included).
_ON_A_LEASH = """
import os, runpy, shutil, signal, threading
def end_with_parent():
    os.read(0, 1)
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=end_with_parent, daemon=True).start()
runpy.run_module("mlflow", run_name="__main__", alter_sys=True)
"""

# What the server's worker does once its own software is there (mlflow.pyfunc.scoring_server.app), timed.
_LOADING = """
import sys, time
from mlflow import artifacts
from mlflow.pyfunc.scoring_server import load_model_with_mlflow_config
files = artifacts.download_artifacts(sys.argv[1])
began = time.monotonic()
load_model_with_mlflow_config(files)
print(time.monotonic() - began)
"""


class ModelServerError(Exception):
    """A model server that died or was not ready in time. The message ends with the tail of its log."""


class ModelServer:
    """One registered model version behind `mlflow models serve`, on a loopback port of its own.

    As a context manager it is started on entry and stopped on exit. MLflow makes two processes of it, its command
    line and one uvicorn worker, which form a process group; settings of theirs in the environment (UVICORN_*,
    MLFLOW_*) are respected.
    """

    def __init__(self, model: str, version: str, *, tracking_uri: str, log: Path, access_log: bool = False) -> None:
        """With `access_log` every request stands in the log."""
        self.model = model
        self.version = version
        self.port = free_port()
        self._tracking_uri = tracking_uri
        self._log = log
        self._access_log = access_log
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        """Where it answers, such as "http://127.0.0.1:5001"; predictions are at /invocations."""
        return f"http://{_HOST}:{self.port}"

    def start(self) -> None:
        """Start the process and return at once. Its output goes to the log file, which starts afresh."""
        if self._process is not None:
            raise RuntimeError(f"{self} was started before; stop it first")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._scratch = _scratch()
        serve = ["models", "serve", "-m", f"models:/{self.model}/{self.version}", "--env-manager", "local"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _ON_A_LEASH, *serve, "-h", _HOST, "-p", str(self.port), "-w", "1"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(self._tracking_uri, self._scratch.name, self._access_log),
                start_new_session=True,
            )

    def wait_ready(self, timeout: float = 60.0, on_progress: Callable[[float], None] | None = None) -> float:
        """Return when GET /ping answers 200: the seconds waited. `on_progress` gets the seconds so far, now and then.

        Raises ModelServerError when the process dies or `timeout` seconds have passed."""
        began = time.monotonic()
        while not self._answers():
            waited = time.monotonic() - began
            code = self._started().poll()
            if code is not None:
                raise ModelServerError(f"{self} died with exit code {code} before it was ready{self._quoted_log()}")
            if waited > timeout:
                raise ModelServerError(f"{self} was not ready after {timeout:g} s{self._quoted_log()}")
            if on_progress is not None:
                on_progress(waited)
            time.sleep(_POLL)
        return time.monotonic() - began

    def stop(self, grace: float = 5.0) -> None:
        """End both processes, the worker in its own time if that is within `grace` seconds. Harmless if none runs."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            _end_workers(process.pid, grace)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
            if self._scratch is not None:
                self._scratch.cleanup()

    @property
    def pid(self) -> int:
        """The process whose children answer."""
        return self._started().pid

    def resident_bytes(self) -> int | None:
        """The resident memory of both processes together, or None where there is no /proc to read it from."""
        members = _group(self._started().pid)
        return sum(members.values()) if members else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __str__(self) -> str:
        return f"mlflow models serve for {self.model} {self.version} at {self.url}"

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self} has not been started")
        return self._process

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(_HOST, self.port, timeout=2.0)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _quoted_log(self) -> str:
        tail = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return f"; the end of {self._log}:\n" + "\n".join(f"  {line}" for line in tail)


def time_loading(model: str, version: str, *, tracking_uri: str, timeout: float = 60.0) -> float:
    """The seconds that the version takes to be loaded into a process of its own, in which MLflow's serving software is
    there already and the files are local: the version's own part of a server's start.

    Raises ModelServerError."""
    name = f"loading {model} {version}"
    with _scratch() as folder:
        try:
            ended = subprocess.run(
                [sys.executable, "-c", _LOADING, f"models:/{model}/{version}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                env=_environment(tracking_uri, folder),
            )
        except subprocess.TimeoutExpired:
            raise ModelServerError(f"{name} has not ended after {timeout:g} s") from None
    if ended.returncode:
        tail = "\n".join(f"  {line}" for line in ended.stderr.splitlines()[-_TAIL_LINES:])
        raise ModelServerError(f"{name} ended with exit code {ended.returncode}:\n{tail}")
    return float(ended.stdout.splitlines()[-1])


def free_port() -> int:
    """A loopback TCP port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _scratch() -> TemporaryDirectory[str]:
    """A folder for what MLflow makes in passing: it copies the files of a registry elsewhere, and leaves them there."""
    return TemporaryDirectory(prefix="penstock-mlflow-", ignore_cleanup_errors=True)


def _environment(tracking_uri: str, scratch: str, access_log: bool = False) -> dict[str, str]:
    """Ours, with this interpreter's folder first on PATH, for MLflow starts a bare `uvicorn`."""
    defaults = {"UVICORN_ACCESS_LOG": str(access_log).lower(), "MLFLOW_DISABLE_TELEMETRY": "true"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return (
        defaults
        | os.environ
        | {"PATH": path, "MLFLOW_TRACKING_URI": tracking_uri, "TMPDIR": scratch, "PYTHONUNBUFFERED": "1"}
    )


def _end_workers(leader: int, grace: float) -> None:
    """End the processes that the leader of this group started: INT, and KILL after `grace` seconds.

    They go before their parent, which thus reaps them: in a container whose first process does not reap orphans they
    would stay as zombies. INT, for uvicorn treats it like TERM but exits with 0, which MLflow does not log as a crash.
    Without a /proc to find them in, they are left to the KILL that the whole group gets.
    """
    workers = [pid for pid in _group(leader) if pid != leader]
    for sign, seconds in ((signal.SIGINT, grace), (signal.SIGKILL, _DYING)):
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        deadline = time.monotonic() + seconds
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL / 10)
        else:
            return


def _group(pgid: int) -> dict[int, int]:
    """The processes of a group that still run, with the resident bytes of each. Empty where there is no /proc."""
    page = os.sysconf("SC_PAGE_SIZE")
    members = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # proc_pid_stat(5), after the name: state, ppid, pgrp, ... ; rss is the 24th field of the line
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[2]) == pgid and fields[0] != "Z":
            members[int(entry.name)] = int(fields[21]) * page
    return members
