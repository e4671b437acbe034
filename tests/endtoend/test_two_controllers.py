"""Two control planes on one PostgreSQL: one acts, the other takes over, and one that was away changes nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from proxy.snapshot import Origin
from tests.endtoend.controlplane import (
    MODEL,
    SECONDS,
    ControlPlane,
    CountingWorker,
    configuration,
    control_plane,
    generation,
    trail,
)
from tests.postgres import Postgres
from tests.servers import START_PATIENCE, eventually
from tests.wire import PATIENCE, call
from tests.workers import WorkerProcess

ROUNDS = int(os.environ.get("PENSTOCK_SOAK_STOPS", "2"))

pytestmark = pytest.mark.timeout(600 + 60 * ROUNDS)  # two starts on a busy machine


@dataclass
class Pair:
    """The control planes, and the store between them."""

    url: str
    planes: tuple[ControlPlane, ControlPlane]

    def sort(self) -> tuple[ControlPlane, ControlPlane]:
        """(the one that acts, the one that waits), once it is so."""

        def sorted_out() -> tuple[ControlPlane, ControlPlane] | None:
            first, second = self.planes
            if first.acting and second.waiting:
                return first, second
            return (second, first) if second.acting and first.waiting else None

        found = eventually(sorted_out, START_PATIENCE)
        assert found is not None
        return found


@pytest.fixture
def pair(postgres: Postgres, tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        url = stack.enter_context(postgres.database())
        config = configuration(tmp_path, url)
        planes = [stack.enter_context(control_plane(config, tmp_path / f"log{number}")) for number in (1, 2)]
        yield Pair(url, (planes[0], planes[1]))


def test_the_one_that_waits_says_so_and_names_the_other(pair: Pair) -> None:
    acting, waiting = pair.sort()
    named = f"(pid {acting.process.pid},"
    for path in ("/-/ready", "/api/status", f"/api/models/{MODEL}", "/link/snapshot?worker=w"):
        answer = waiting.client.get(path)
        assert (answer.status_code, answer.json()["error"]) == (503, "not_acting")
        assert named in answer.json()["message"]
        assert answer.headers["connection"] == "close", "the next try may find the one that acts"
    assert waiting.client.get("/-/live").status_code == 200
    assert "penstock_acting 0.0" in waiting.client.get("/metrics").text
    assert "penstock_acting 1.0" in acting.client.get("/metrics").text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_one_that_waits_goes_on_where_the_other_ended(pair: Pair, number: signal.Signals) -> None:
    acting, waiting = pair.sort()
    worker = CountingWorker()
    worker.follow(acting)
    worker.traffic(30)
    assert worker.push(acting)
    assert acting.command("pause", "ada") == 200
    before = trail(pair.url)
    acting.signal(number)
    acting.process.wait(PATIENCE)
    waiting.until_acting()
    assert trail(pair.url) == before, "taking over is no change"
    assert waiting.phase() == "paused"
    worker.follow(waiting)
    assert worker.push(waiting)
    eventually(lambda: waiting.client.get(f"/api/models/{MODEL}").json()["rollout"]["requests"] == 30)
    assert waiting.command("resume", "ada") == 200


def test_a_controller_that_was_stopped_past_its_lease_commits_nothing(pair: Pair) -> None:
    """A person's command is on its way when the process stops, and another is waiting for it when it goes on."""
    chance = random.Random(7)
    accepted = []
    for number in range(ROUNDS):
        acting, waiting = pair.sort()
        amid = sent(acting, wish(acting), f"amid-{number}")
        time.sleep(chance.random() * 0.02)
        acting.signal(signal.SIGSTOP)
        waiting.until_acting()
        stale = sent(acting, wish(waiting), f"stale-{number}")
        assert waiting.command(wish(waiting), f"fresh-{number}") == 200
        accepted.append(f"fresh-{number}")
        acting.signal(signal.SIGCONT)
        acting.until_waiting()
        if status_of(amid) == 200:
            accepted.append(f"amid-{number}")
        assert status_of(stale) != 200
        rows = [link.row for link in trail(pair.url)]
        assert [row.generation for row in rows] == list(range(1, generation(pair.url) + 1)), "one audit row a commit"
        by = [row.by for row in rows]
        assert not [name for name in by if name.startswith("stale")]
        assert set(accepted) <= set(by), "what was acknowledged is on record"


def test_a_rollback_that_a_stopped_controller_was_asked_for_is_not_lost(pair: Pair) -> None:
    acting, waiting = pair.sort()
    acting.signal(signal.SIGSTOP)
    waiting.until_acting()
    assert waiting.command("pause", "bob") == 200
    asked = sent(acting, "rollback", "ada")
    acting.signal(signal.SIGCONT)
    if status_of(asked) == 200:
        eventually(lambda: waiting.phase() == "rolled_back")
        rows = [link.row for link in trail(pair.url)]
        assert [(row.event, row.by) for row in rows][-2:] == [("pause", "bob"), ("roll_back", "ada")]
    acting.until_waiting()


def test_a_worker_behind_their_common_address_finds_the_one_that_acts(postgres: Postgres, tmp_path: Path) -> None:
    with ExitStack() as stack:
        config = configuration(tmp_path, stack.enter_context(postgres.database()))
        first = stack.enter_context(control_plane(config, tmp_path / "log1"))
        second = stack.enter_context(control_plane(config, tmp_path / "log2", port=first.port))
        first.until_acting()
        worker = stack.enter_context(WorkerProcess(Origin("127.0.0.1", first.port), tmp_path))
        eventually(lambda: followed(first))
        acting = eventually(lambda: one_that_acts(first, second), START_PATIENCE)
        acting.signal(signal.SIGKILL)
        acting.process.wait(PATIENCE)
        eventually(lambda: followed(first))
        assert call(worker.port, "GET", "/-/ready").status == 200


def followed(control: ControlPlane) -> bool:
    """Whether whoever acts at this address has a worker that routes by its generation."""
    answer = control.ask("/api/status")
    if answer is None or answer.status_code != 200:
        return False
    status = answer.json()
    return status["generation"] in status["workers"].values()


def one_that_acts(first: ControlPlane, second: ControlPlane) -> ControlPlane | None:
    """By what the one that waits at their address says; each new connection may come to either."""
    answer = httpx2.get(f"http://127.0.0.1:{first.port}/-/ready", trust_env=False, timeout=SECONDS)
    named = (control for control in (first, second) if f"(pid {control.process.pid}," in answer.text)
    return next(named, None) if answer.status_code == 503 else None


def wish(control: ControlPlane) -> str:
    return "resume" if control.phase() == "paused" else "pause"


def sent(control: ControlPlane, wanted: str, by: str) -> socket.socket:
    """A command on its way: the kernel takes it in for a process that is stopped."""
    body = json.dumps({"by": by, "reason": "because"})
    head = (
        f"POST /api/models/{MODEL}/rollout/{wanted} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", control.port), timeout=SECONDS)
    connection.sendall((head + body).encode())
    return connection


def status_of(connection: socket.socket) -> int:
    """The answer's status, 0 where none came."""
    with connection:
        try:
            return int(connection.recv(4096).split()[1])
        except (OSError, IndexError):
            return 0
