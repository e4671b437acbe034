"""The processes that the command line starts: where they keep things, and the data plane alone."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from gates.adapters.modelserver import free_port
from gates.cli.processes import snapshot_cache
from gates.exits import Exit, Failure
from tests.gates.cli.calling import ENVIRONMENT, PENSTOCK, ROOT, called
from tests.ports import claimed_port
from tests.servers import START_PATIENCE


def until_alive(url: str) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while True:
        try:
            with urlopen(f"{url}/-/live", timeout=60) as answer:
                assert answer.status == 200
                return
        except OSError:
            assert time.monotonic() < deadline, f"{url} never answered"
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("store", "state_dir", "cache"),
    [
        ("sqlite:///penstock.db", None, "penstock.snapshot.json"),
        ("sqlite:///state/live.db", None, "state/live.snapshot.json"),
        ("sqlite:////{tmp}/live.db", None, "{tmp}/live.snapshot.json"),
        ("postgresql+psycopg://me@host/penstock", None, "penstock.snapshot.json"),
        ("postgresql+psycopg://me@host/penstock", "state", "state/penstock.snapshot.json"),
        ("sqlite:///other.db", "state", "state/penstock.snapshot.json"),
    ],
)
def test_the_last_snapshot_is_kept_beside_the_store(
    store: str, state_dir: str | None, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp = str(tmp_path).removeprefix("/")
    kept = snapshot_cache(store.replace("{tmp}", tmp), Path(state_dir) if state_dir else None)
    assert kept == Path(cache.replace("{tmp}", f"/{tmp}"))
    assert kept.parent.is_dir()


def test_a_state_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="--state-dir"):
        snapshot_cache("postgresql+psycopg://me@host/penstock", tmp_path / "file" / "state")


@pytest.mark.parametrize("workers", [1, 2])
def test_the_proxy_runs_without_the_control_planes_packages(workers: int, tmp_path: Path) -> None:
    """As in its image; and a folder of the same name where it is called does not take its place."""
    absent = ("alembic", "httpx2", "mlflow", "prometheus_client", "sqlalchemy", "starlette", "watchfiles", "yaml")
    for package in absent:
        (tmp_path / "absent").mkdir(exist_ok=True)
        (tmp_path / "absent" / f"{package}.py").write_text("raise ImportError('not in the data plane')")
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "__init__.py").write_text("raise ImportError('not ours')")
    port = claimed_port()
    arguments = ["--listen", f"127.0.0.1:{port}", "--control", "http://127.0.0.1:9", "--workers", str(workers)]
    environment = ENVIRONMENT | {"PYTHONPATH": f"{tmp_path / 'absent'}:{ROOT}"}
    started = subprocess.Popen(
        [*PENSTOCK, "proxy", *arguments], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        until_alive(f"http://127.0.0.1:{port}")
        started.terminate()
        _, said = started.communicate(timeout=START_PATIENCE)
    finally:
        started.kill()
    assert started.returncode in (0, -signal.SIGTERM), said
    assert "Traceback" not in said


def test_a_data_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = called("proxy", "--listen", address, "--control", "http://127.0.0.1:9", cwd=tmp_path)
    assert done.returncode == Exit.UNAVAILABLE
    assert re.fullmatch(r"penstock: cannot listen on [0-9.:]+: Address already in use; .*\n", done.stderr)


@pytest.mark.parametrize("command", ["serve", "control"])
def test_a_control_port_that_all_may_reach_is_refused_before_anything_runs(command: str, tmp_path: Path) -> None:
    config = tmp_path / "penstock.yaml"
    config.write_text(f"""models: {{m: {{servers: {{"1": ["http://127.0.0.1:9"]}}, champion: "1"}}}}
control: 0.0.0.0:{free_port()}
""")
    done = called(command, "--config", str(config), cwd=tmp_path)
    assert done.returncode == Exit.CONFIGURATION
    assert done.stderr.startswith(f"{config}:2: access: ")
    assert not list(tmp_path.glob("*.db")), "no store was made"
