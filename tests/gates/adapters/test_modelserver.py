"""A real `mlflow models serve`: ready, answering, dying, and gone without a trace (Linux: it reads /proc)."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from gates.adapters.mlflowstore import connect
from gates.adapters.modelserver import ModelServer, ModelServerError, free_port, time_loading
from tests.registry import MlflowServer
from tests.servers import START_PATIENCE
from tests.wire import PATIENCE

MODEL = "sleeper"
SLEEPER = """
import time
import mlflow

class Sleeper(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[float], params=None) -> list[str]:
        time.sleep(max(model_input))
        return ["slept"] * len(model_input)

mlflow.models.set_model(Sleeper())
"""
# Starts a server, says on which port, and stays until it is killed.
PARENT = """
import sys, time
from pathlib import Path
from gates.adapters.modelserver import ModelServer
with ModelServer("sleeper", "1", tracking_uri=sys.argv[1], log=Path(sys.argv[2])) as server:
    print(server.port, flush=True)
    time.sleep(120)
"""


@pytest.fixture(scope="module")
def tracking_uri(empty_mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with one registered model, which sleeps as many seconds as the request says."""
    import mlflow.pyfunc

    folder = tmp_path_factory.mktemp("served")
    (folder / "sleeper.py").write_text(SLEEPER)
    mlflow.pyfunc.save_model(folder / "model", python_model=str(folder / "sleeper.py"), pip_requirements=["mlflow"])
    uri = f"sqlite:///{shutil.copy(empty_mlflow_database, folder / 'mlflow.db')}"
    client = connect(uri)
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, str(folder / "model"))
    return uri


def sleep_for(server: ModelServer, seconds: float, timeout: float) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        body = json.dumps({"inputs": [seconds]})
        connection.request("POST", "/invocations", body, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def processes(port: int) -> list[Path]:
    """The /proc entries of the processes that have this port on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # ended meanwhile
            continue
        if str(port).encode() in arguments:
            found.append(entry)
    return found


def wait_for_processes(port: int, count: int) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while len(processes(port)) != count:
        assert time.monotonic() < deadline, processes(port)
        time.sleep(0.05)


def assert_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_a_free_port_is_free() -> None:
    assert_free(free_port())


def test_it_serves_and_leaves_nothing_behind_even_when_stuck(tracking_uri: str, tmp_path: Path) -> None:
    progress: list[float] = []
    log = tmp_path / "logs" / "champion.log"
    with ModelServer(MODEL, "1", tracking_uri=tracking_uri, log=log) as server:
        waited = server.wait_ready(START_PATIENCE, on_progress=progress.append)
        assert progress == sorted(progress)
        assert 0.0 <= progress[0] <= progress[-1] <= waited
        assert server.url == f"http://127.0.0.1:{server.port}"

        assert sleep_for(server, 0.0, timeout=PATIENCE) == (200, b'{"predictions": ["slept"]}')
        assert "Uvicorn running" in log.read_text()
        assert "/invocations" not in log.read_text()  # no line for each request

        both = processes(server.port)
        assert len(both) == 2  # MLflow's command line and its uvicorn
        resident = server.resident_bytes()
        assert resident is not None
        assert resident > 2**20

        with pytest.raises(TimeoutError):
            sleep_for(server, 60.0, timeout=0.5)  # the worker is busy now, and deaf to INT
        server.stop(grace=0.5)
        assert [entry for entry in both if entry.exists()] == []  # nor as zombies
        assert_free(server.port)
        server.stop()


def test_a_server_that_dies_says_why(tracking_uri: str, tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with (
        ModelServer(MODEL, "9", tracking_uri=tracking_uri, log=log) as server,
        pytest.raises(ModelServerError, match=r"sleeper 9 .* died with exit code 1 before it was ready") as caught,
    ):
        server.wait_ready(START_PATIENCE)
    assert str(log) in str(caught.value)
    assert "Model Version (name=sleeper, version=9) not found" in str(caught.value)


def test_a_server_that_is_too_slow_is_stopped_while_it_starts(tracking_uri: str, tmp_path: Path) -> None:
    server = ModelServer(MODEL, "1", tracking_uri=tracking_uri, log=tmp_path / "server.log")
    with server:
        with pytest.raises(ModelServerError, match=r"was not ready after 0.3 s; the end of .*server\.log"):
            server.wait_ready(timeout=0.3)
        started = processes(server.port)
        assert started
    assert [entry for entry in started if entry.exists()] == []


def test_what_a_registry_elsewhere_has_sent_is_gone_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where the version is none that can be loaded."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with MlflowServer(tmp_path) as registry:
        version = registry.register("broken")
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        monkeypatch.setenv("TMPDIR", str(scratch))
        with pytest.raises(ModelServerError, match="ended with exit code"):
            time_loading("broken", version, tracking_uri=registry.url, timeout=START_PATIENCE)
        server = ModelServer("broken", version, tracking_uri=registry.url, log=tmp_path / "server.log")
        with server, pytest.raises(ModelServerError, match="died"):
            server.wait_ready(START_PATIENCE)
    assert list(scratch.iterdir()) == []


def test_it_cannot_be_started_twice_or_awaited_before(tracking_uri: str, tmp_path: Path) -> None:
    server = ModelServer(MODEL, "1", tracking_uri=tracking_uri, log=tmp_path / "server.log")
    with pytest.raises(RuntimeError, match="has not been started"):
        server.wait_ready()
    with server, pytest.raises(RuntimeError, match="was started before"):
        server.start()


def test_it_ends_with_its_parent_even_when_that_is_killed(tracking_uri: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, tracking_uri, str(tmp_path / "server.log")]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        wait_for_processes(port, 2)  # MLflow's command line and its uvicorn
        assert len(list(scratch.iterdir())) == 1
        parent.kill()
    wait_for_processes(port, 0)
    assert_free(port)
    assert list(scratch.iterdir()) == []
