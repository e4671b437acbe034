"""The demo's scene: three trained versions, a model server for each, and `penstock serve` in front of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import yaml

from gates.adapters.modelserver import ModelServer, free_port
from gates.demo.training import TrainedVersions, train_versions

MODEL = "tumour_classifier"
WORKERS = 2
READY_SECONDS = 60.0
STOP_SECONDS = 45.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that runs, and where it answers. Addresses are base URLs."""

    directory: Path
    versions: TrainedVersions
    proxy: str
    control: str
    servers: dict[str, str]
    seconds: dict[str, float]

    @property
    def tracking_uri(self) -> str:
        return tracking_uri(self.directory)

    @property
    def invocations(self) -> str:
        return f"{self.proxy}/invocations"


def tracking_uri(directory: Path) -> str:
    return f"sqlite:///{directory / 'mlflow.db'}"


@contextmanager
def staged(directory: Path, progress: Progress) -> Iterator[Scene]:
    """Train, serve and proxy; on the way out everything that was started is stopped again, last first.

    Raises ModelServerError or SceneError where a part does not come up."""
    seconds: dict[str, float] = {}
    with ExitStack() as running:
        with _timed(seconds, "train"):
            versions = train_versions(tracking_uri(directory), MODEL, on_progress=progress)
        with _timed(seconds, "model_servers"):
            progress("starting three model servers: mlflow models serve")
            servers = _serve_models(directory, versions, running)
        with _timed(seconds, "penstock"):
            progress("starting penstock serve")
            proxy, control = _serve_penstock(directory, versions, servers, running)
        yield Scene(directory, versions, proxy, control, servers, seconds)


class SceneError(Exception):
    """`penstock serve` did not come up; the message quotes its log."""


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[step] = round(time.monotonic() - start, 2)


def _serve_models(directory: Path, versions: TrainedVersions, running: ExitStack) -> dict[str, str]:
    """The base URL of each version's server. They start at the same time: most of a start is waiting."""
    numbers = (versions.champion, versions.candidate, versions.defective)
    servers = {
        number: running.enter_context(
            ModelServer(
                MODEL, number, tracking_uri=tracking_uri(directory), log=directory / "logs" / f"model-{number}.log"
            )
        )
        for number in numbers
    }
    with ThreadPoolExecutor(len(servers)) as waiting:
        list(waiting.map(lambda server: server.wait_ready(), servers.values()))
    return {number: server.url for number, server in servers.items()}


def _serve_penstock(
    directory: Path, versions: TrainedVersions, servers: dict[str, str], running: ExitStack
) -> tuple[str, str]:
    """Write the configuration, start `penstock serve` on it, and wait until its workers answer."""
    listen, control = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    config = directory / "penstock.yaml"
    config.write_text(yaml.safe_dump(configuration(directory, versions, servers, listen, control), sort_keys=False))
    log = directory / "logs" / "penstock.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "gates", "serve", "--config", str(config), "--workers", str(WORKERS)]
        # A session of its own: Ctrl-C reaches the demo alone, which then stops this, and last of all its model servers.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    running.callback(_stop, process)
    proxy = f"http://{listen}"
    _await_ready(f"{proxy}/-/ready", process, log)
    return proxy, f"http://{control}"


def configuration(
    directory: Path, versions: TrainedVersions, servers: dict[str, str], listen: str, control: str
) -> dict[str, object]:
    """The demo's penstock.yaml: a whole rollout in about a minute, so durations are seconds where yours are hours."""
    least = {1: 1, 5: 5, 10: 10, 25: 25, 50: 50, 100: 100}
    steps = [
        {"percent": percent, "min_duration": "3s", "min_requests": requests} for percent, requests in least.items()
    ]
    return {
        "listen": listen,
        "control": control,
        "store": f"sqlite:///{directory / 'penstock.db'}",
        "mlflow": {"tracking_uri": tracking_uri(directory)},
        "models": {
            MODEL: {
                "servers": {number: [url] for number, url in servers.items()},
                "champion": versions.champion,
                "sticky": {"header": "x-user-id"},
                "timeout": "10s",
                "shadow": {"percent": 100, "timeout": "10s", "max_in_flight": 32},
                "plan": {
                    "shadow": {"min_duration": "5s", "min_requests": 200},
                    "steps": steps,
                    "bake": {"min_duration": "5s", "min_requests": 100},
                },
                "gates": {
                    "error_rate": {"max": "2%"},
                    "latency": {"quantile": "p95", "max": "2s"},
                    "agreement": {"min": "92%"},
                },
            }
        },
    }


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(url, timeout=2.0, trust_env=False).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.1)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise SceneError(f"penstock serve is not ready at {url}; the end of {log}:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """An orderly stop, and a hard one for what is left."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
