"""Control planes that die by SIGKILL at one commit: before it is stored, as soon as it is (after), or once workers may
have it (applied).

A nursery loads the program once and forks each life from it, so that thousands of deaths cost minutes and not hours. On
its standard input it takes a life in a line, JSON; on its standard output it tells its process id, and how it ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from gates import app, settings
from gates.adapters.store import SqlStore
from gates.controller import lease, steering
from gates.controller.publication import Publication
from gates.state import Commit
from proxy.snapshot import Snapshot

death = ("never", 0)


def die_at(point: str, generation: int) -> None:
    if (point, generation) == death:
        os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(SqlStore):
    def commit(self, commit: Commit) -> None:
        die_at("before", commit.snapshot.generation)
        super().commit(commit)
        die_at("after", commit.snapshot.generation)


class DyingPublication(Publication):
    def publish(self, snapshot: Snapshot) -> None:
        super().publish(snapshot)
        die_at("applied", snapshot.generation)


def live(config: str, fd: int, log: str, point: str, generation: int) -> None:
    """The whole of `penstock control` from here on, with death where it is told."""
    global death
    death = (point, generation)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(out, stream.fileno())
    patch = pytest.MonkeyPatch()  # unlike an assignment, it refuses a name that is no longer there
    patch.setattr(app, "SqlStore", DyingStore)
    patch.setattr(steering, "Publication", DyingPublication)
    patch.setattr(lease, "LEASE_SECONDS", 0.2)  # nobody else is there to wait for
    patch.setattr(lease, "LEASE_EVERY", 0.05)
    patch.setattr(app, "LEASE_EVERY", 0.05)
    app.serve(settings.load(Path(config)), fd=fd)


def nurse() -> None:
    for line in sys.stdin:
        life = json.loads(line)
        # Bound before it is told of, so that it is never refused.
        listener = socket.create_server(("127.0.0.1", life.pop("port")), reuse_port=True)
        child = os.fork()
        if child == 0:
            try:
                live(fd=listener.detach(), **life)
            finally:
                os._exit(1 if sys.exc_info()[0] else 0)
        listener.close()
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    nurse()
