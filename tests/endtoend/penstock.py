"""A whole `penstock serve` for the tests: supervisor, control plane and workers, as a user starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import yaml

from gates.client import ControlClient, ControlFailed
from gates.status import ModelStatus
from tests.ports import claimed_port
from tests.servers import START_PATIENCE, eventually
from tests.wire import PATIENCE

MODEL = "fraud_detector"


def configuration(store: Path, servers: dict[str, str], **model: Any) -> dict[str, Any]:
    """One model whose versions have a plain server each, given by its base URL; `model` adds to its section."""
    section = {"servers": {version: [url] for version, url in servers.items()}, **model}
    return {
        "listen": f"127.0.0.1:{claimed_port()}",
        "control": f"127.0.0.1:{claimed_port()}",
        "store": f"sqlite:///{store}",
        "models": {MODEL: section},
    }


class Penstock:
    """`penstock serve` in a folder of its own; its log is there too."""

    def __init__(self, folder: Path, settings: dict[str, Any], workers: int, token: str = "") -> None:
        self._token = token
        self.log = folder / "penstock.log"
        config = folder / "penstock.yaml"
        config.write_text(yaml.safe_dump(settings, sort_keys=False))
        self.port = int(settings["listen"].rpartition(":")[2])
        self.url = f"http://{settings['listen']}"
        self.control_url = f"http://{settings['control']}"
        command = [sys.executable, "-m", "gates", "serve", "--config", str(config), "--workers", str(workers)]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)

    def __enter__(self) -> Self:
        eventually(lambda: self._answers("/-/ready"), START_PATIENCE)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        if error is not None:
            print(self.log.read_text(errors="replace")[-8_000:])

    def stop(self) -> int:
        """SIGTERM, and the exit status that follows."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_PATIENCE)

    def model(self) -> ModelStatus | None:
        """None while no control plane answers."""
        try:
            with self.client() as client:
                return client.model(MODEL)
        except ControlFailed:
            return None

    def client(self) -> ControlClient:
        return ControlClient(self.control_url, token=self._token)

    def children(self, module: str) -> list[int]:
        """The pids of the processes that run `python -m MODULE` under the supervisor."""
        supervisor = self.process.pid
        listed = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        return [int(pid) for pid in listed if f"-m\0{module}\0" in _command(pid)]

    def _answers(self, path: str) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        try:
            return httpx2.get(self.url + path, timeout=PATIENCE, trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
