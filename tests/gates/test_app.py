"""The control process as a process: uvicorn, SQLite, signals."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from proxy import snapshot as snapshots
from proxy.push import Push, Sample, encode_push
from proxy.window import Window
from tests.servers import START_PATIENCE, eventually
from tests.wire import PATIENCE

MODEL = "fraud_detector"
PROGRAM = """
import sys
from pathlib import Path
from gates.api import workers
from gates.app import serve
from gates.settings import load
workers.POLL_SECONDS = 3600.0  # longer than anything is waited for
serve(load(Path(sys.argv[1])), fd=int(sys.argv[2]))
"""
CONFIGURATION = """
store: sqlite:///{folder}/penstock.db
models:
  fraud_detector:
    servers: {{"40": [http://127.0.0.1:1], "{candidate}": [http://127.0.0.1:2]}}
    champion: "40"
    candidate: "{candidate}"
    gates:
      errors: {{metric: error_rate, max: 5%}}
"""


@dataclass
class ControlProcess:
    process: subprocess.Popen[bytes]
    client: httpx2.Client
    log: Path

    def wait_for(self, path: str) -> httpx2.Response:
        """The first answer of 200, while the process lives."""
        deadline = time.monotonic() + START_PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if (answer := self.client.get(path)).status_code == 200:
                    return answer
            except httpx2.TransportError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"{path} does not answer:\n{self.log.read_text()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def control(folder: Path, candidate: str = "42") -> Iterator[ControlProcess]:
    configuration = folder / "penstock.yaml"
    configuration.write_text(CONFIGURATION.format(folder=folder, candidate=candidate))
    log = folder / "log"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("ab") as out:
        fd = listener.fileno()
        command = [sys.executable, "-c", PROGRAM, str(configuration), str(fd)]
        process = subprocess.Popen(command, pass_fds=(fd,), stdout=out, stderr=out)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx2.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        try:
            yield ControlProcess(process, client, log)
        finally:
            process.kill()
            process.wait(PATIENCE)


def test_sigterm_ends_it_at_once_though_a_poll_is_held(tmp_path: Path) -> None:
    with control(tmp_path) as running:
        running.wait_for("/-/ready")
        first = running.client.get("/link/snapshot?worker=w")
        generation = snapshots.decode(first.content).generation
        address = (running.client.base_url.host, running.client.base_url.port)
        with socket.create_connection(address) as held:
            held.sendall(b"GET /link/snapshot?worker=w&generation=%d HTTP/1.1\r\nhost: localhost\r\n\r\n" % generation)
            eventually(lambda: running.client.get("/api/status").json()["workers"]["w"] == generation)
            assert running.stop() == 0
            assert held.recv(100).startswith(b"HTTP/1.1 204")
        assert "Traceback" not in running.log.read_text()


def refused_by(running: ControlProcess) -> set[str]:
    """Who had the configuration read when it was refused, as the audit trail has it."""
    rows = running.client.get("/api/events").json()
    return {row["by"] for row in rows if row["event"] == "reload_refused"}


def test_sighup_reads_the_configuration_again(tmp_path: Path) -> None:
    with control(tmp_path) as running:
        running.wait_for("/-/ready")
        file = tmp_path / "penstock.yaml"
        file.write_text(file.read_text() + "nonsense: true\n")
        running.process.send_signal(signal.SIGHUP)
        eventually(lambda: "SIGHUP" in refused_by(running))  # the folder's watch alone would be the configuration
        assert running.process.poll() is None
        assert running.stop() == 0


def test_what_was_decided_and_seen_survives_kill_minus_9(tmp_path: Path) -> None:
    with control(tmp_path) as running:
        running.wait_for("/-/ready")
        epoch = snapshots.decode(running.client.get("/link/snapshot?worker=w").content).by_model[MODEL].epoch
        window = Window()
        for _ in range(30):
            window.candidate_shadow.observe(200, 0.01)
        push = encode_push(Push("w", 1, (Sample(MODEL, epoch, window),)))
        assert running.client.post("/link/windows", content=push).status_code == 204
        _wait_until_kept(tmp_path / "penstock.db")
        assert running.client.post(f"/api/models/{MODEL}/rollout/pause", json={"by": "ada"}).status_code == 200
        assert running.stop(signal.SIGKILL) == -signal.SIGKILL
    with control(tmp_path) as running:
        running.wait_for("/-/ready")
        rollout = running.client.get(f"/api/models/{MODEL}").json()["rollout"]
        assert (rollout["phase"], rollout["requests"]) == ("paused", 30)
        events = running.client.get(f"/api/models/{MODEL}/events").json()
        assert [event["event"] for event in events] == ["pause", "start", "configure"]
        assert running.stop(signal.SIGINT) == 0


def _wait_until_kept(database: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while time.monotonic() < deadline:
        with closing(sqlite3.connect(database)) as db:
            if db.execute("SELECT count(*) FROM windows").fetchone() == (1,):
                return
        time.sleep(0.05)
    raise AssertionError("the windows were not kept")


def test_a_bad_candidate_is_rolled_back_by_the_process_itself(tmp_path: Path) -> None:
    with control(tmp_path) as running:
        running.wait_for("/-/ready")
        told = snapshots.decode(running.client.get("/link/snapshot?worker=w").content)
        window = Window()
        for _ in range(60):
            window.candidate_shadow.observe(500, 0.01)
        push = Push("w", 1, (Sample(MODEL, told.by_model[MODEL].epoch, window),))
        assert running.client.post("/link/windows", content=encode_push(push)).status_code == 204
        answer = running.client.get(f"/link/snapshot?worker=w&generation={told.generation}")
        assert snapshots.decode(answer.content).by_model[MODEL].candidate is None
        eventually(lambda: "gate errors" in running.log.read_text())


def test_a_promoted_version_without_servers_ends_the_start_with_the_remedy(tmp_path: Path) -> None:
    with control(tmp_path) as running:
        running.wait_for("/-/ready")
        assert running.client.post(f"/api/models/{MODEL}/rollout/promote", json={}).status_code == 200
        assert running.stop() == 0
    (tmp_path / "log").unlink()
    with control(tmp_path, candidate="41") as running:
        assert running.process.wait(START_PATIENCE) != 0
        assert f"{tmp_path}/penstock.yaml:5: " in running.log.read_text()
        assert "add it under models.fraud_detector.servers" in running.log.read_text()
