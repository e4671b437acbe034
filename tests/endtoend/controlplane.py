"""Control planes as processes, and a worker that only counts: what the tests of their deaths are made of."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import httpx2

from gates.adapters.store import SqlStore
from gates.audit import Chain, Link
from gates.controller.replay import replay
from proxy import snapshot as snapshots
from proxy.push import Push, Sample, encode_push
from proxy.snapshot import ModelRoute, Snapshot
from proxy.window import Window
from tests.servers import START_PATIENCE, eventually
from tests.wire import PATIENCE

ROOT = Path(__file__).parents[2]
MODEL = "fraud_detector"
SECONDS = 15.0
"""For any answer; less than the 20 s for which a poll is held."""

PLAN: Mapping[str, Any] = {
    "shadow": {"min_duration": "0s", "min_requests": 1},
    "steps": [
        {"percent": 10, "min_duration": "0s", "min_requests": 1},
        {"percent": 50, "min_duration": "0s", "min_requests": 1, "approval": True},
        {"percent": 100, "min_duration": "0s", "min_requests": 1},
    ],
    "bake": {"min_duration": "0s", "min_requests": 1},
}
"""As fast as evidence comes, but for a person's word before the second step."""


def configuration(folder: Path, store: str, plan: Mapping[str, Any] = PLAN, **model: Any) -> Path:
    """One model, nobody behind it, and a candidate on trial from the start."""
    section = {
        "servers": {"40": ["http://127.0.0.1:1"], "42": ["http://127.0.0.1:2"]},
        "champion": "40",
        "candidate": "42",
        "plan": dict(plan),
        "gates": {"errors": {"metric": "error_rate", "max": "5%"}},
        **model,
    }
    file = folder / "penstock.yaml"
    file.write_text(json.dumps({"store": store, "models": {MODEL: section}}))
    return file


class Process(Protocol):
    """As much of `subprocess.Popen` as a control plane needs."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...


def control_plane(config: Path, log: Path, port: int = 0, **environment: str) -> ControlPlane:
    """A process of `penstock control`. Behind one `port`, several share what comes in, as behind a service's
    address."""
    with socket.create_server(("127.0.0.1", port), reuse_port=True) as listener, log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gates", "control", "--config", str(config), "--fd", str(listener.fileno())],
            cwd=ROOT,
            env={**os.environ, **environment},
            pass_fds=(listener.fileno(),),
            stdout=out,
            stderr=out,
        )
        return ControlPlane(process, int(listener.getsockname()[1]), log)


class ControlPlane(AbstractContextManager["ControlPlane"]):
    """A control plane's process, and how it is talked to."""

    def __init__(self, process: Process, port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS, trust_env=False)

    def ask(self, path: str, timeout: float = SECONDS) -> httpx2.Response | None:
        """None where there was no answer."""
        with suppress(httpx2.TransportError):
            return self.client.get(path, timeout=timeout)
        return None

    def command(self, wish: str, by: str) -> int:
        """What a person asks for; the status, 0 where there was no answer."""
        with suppress(httpx2.TransportError):
            body = {"by": by, "reason": "because"}
            return self.client.post(f"/api/models/{MODEL}/rollout/{wish}", json=body).status_code
        return 0

    @property
    def acting(self) -> bool:
        return self._says() == "ready"

    @property
    def waiting(self) -> bool:
        return self._says() == "not_acting"

    @property
    def without_store(self) -> bool:
        return self._says() == "store_gone"

    def _says(self) -> str:
        """Whether it is ready, and why not; "" where there is no answer."""
        answer = self.ask("/-/ready")
        if answer is None:
            return ""
        return "ready" if answer.status_code == 200 else str(answer.json()["error"])

    def phase(self) -> str:
        answer = self.ask(f"/api/models/{MODEL}")
        return answer.json()["phase"] if answer is not None and answer.status_code == 200 else ""

    def until_acting(self) -> None:
        def acts() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self.acting

        eventually(acts, START_PATIENCE)

    def until_waiting(self) -> None:
        eventually(lambda: self.waiting, START_PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait(PATIENCE)
        if error is not None:
            print(self.log.read_text(errors="replace")[-8_000:])


class CountingWorker:
    """A worker over HTTP as the link shows it: it polls, counts by the epoch that it routes by, and pushes."""

    def __init__(self, name: str = "w") -> None:
        self.name = name
        self.snapshot = Snapshot(0, ())
        self.sequence = 0
        self.windows: dict[int, Window] = {}

    @property
    def route(self) -> ModelRoute | None:
        return self.snapshot.by_model.get(MODEL)

    def follow(self, control: ControlPlane, candidate: bool = True) -> None:
        """Poll until the route has a candidate, or has none any more. A busy control plane that has not answered yet
        looks like one that has nothing newer, so each poll waits for longer than the one before."""
        patience = 0.1

        def follows() -> bool:
            nonlocal patience
            patience = min(2 * patience, SECONDS)
            if not self.poll(control, patience) or self.route is None:
                return False
            return (self.route.candidate is not None) is candidate

        eventually(follows)

    def poll(self, control: ControlPlane, patience: float = 0.1) -> bool:
        """Take what is new, and acknowledge it; whether the control plane answered as one that acts."""
        for _ in range(2):
            target = f"/link/snapshot?worker={self.name}&generation={self.snapshot.generation}"
            try:
                answer = control.client.get(target, timeout=patience)
            except httpx2.ReadTimeout:
                return True  # held: it has nothing newer
            except httpx2.TransportError:
                return False
            if answer.status_code == 200:
                self.snapshot = snapshots.decode(answer.content)
        return answer.status_code in (200, 204)

    def traffic(self, requests: int, failures: int = 0) -> None:
        if (route := self.route) is None or route.candidate is None:
            return
        window = self.windows.setdefault(route.epoch, Window())
        mine, other = (
            (window.candidate, window.champion) if route.ramp_bp else (window.candidate_shadow, window.champion)
        )
        for number in range(requests):
            mine.observe(500 if number < failures else 200, 0.01)
            other.observe(200, 0.01)

    def push(self, control: ControlPlane) -> bool:
        """All windows; whether they were taken."""
        self.sequence += 1
        samples = tuple(Sample(MODEL, epoch, window) for epoch, window in self.windows.items())
        with suppress(httpx2.TransportError):
            body = encode_push(Push(self.name, self.sequence, samples))
            return control.client.post("/link/windows", content=body).status_code == 204
        return False


def trail(url: str) -> list[Link]:
    """The whole audit trail, which holds, and whose every decision comes out again as it was made."""
    store, chain = SqlStore(url), Chain()
    try:
        links, head = store.trail(0, 100_000)
    finally:
        store.close()
    chain.follow(links)
    chain.end(head)
    assert [
        each.differences for each in replay(link.row for link in links if link.row.rollout) if each.differences
    ] == []
    return links


def generation(url: str) -> int:
    store = SqlStore(url)
    try:
        return store.load().snapshot.generation
    finally:
        store.close()
