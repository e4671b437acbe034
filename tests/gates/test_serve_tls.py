"""`penstock serve` and `penstock proxy` with TLS on the data port, as an operator starts them."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

from gates.exits import Exit
from tests.gates.cli.calling import PENSTOCK
from tests.ports import claimed_port
from tests.servers import START_PATIENCE, eventually
from tests.tls import Authority
from tests.wire import PATIENCE, Client, CutOff

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


def configured(folder: Path, **tls: str) -> tuple[list[str], int, int]:
    """A command that serves by a configuration with these files, and its ports."""
    port, control = claimed_port(), claimed_port()
    config = {
        "listen": f"127.0.0.1:{port}",
        "control": f"127.0.0.1:{control}",
        "store": f"sqlite:///{folder}/penstock.db",
        "tls": tls,
        "models": {"m": {"servers": {"1": ["http://127.0.0.1:9"]}, "champion": "1"}},
    }
    (folder / "penstock.yaml").write_text(json.dumps(config))
    return [*PENSTOCK, "serve", "--config", str(folder / "penstock.yaml"), "--workers", "2"], port, control


def is_ready(port: int, tls: ssl.SSLContext) -> bool:
    try:
        with Client(port, tls=tls) as client:
            return client.request("GET", "/-/ready").status == 200
    except (OSError, CutOff):
        return False


def both_route(control: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{control}/api/status", timeout=PATIENCE) as answer:
            acknowledged = json.load(answer)["workers"].values()
    except OSError:
        return False
    return len(acknowledged) == 2 and all(acknowledged)


def test_serve_speaks_tls_by_its_configuration_and_takes_up_a_renewal(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.certificate()
    command, port, control = configured(tmp_path, certificate="server.crt", key="server.key")
    (tmp_path / "elsewhere").mkdir()
    process = subprocess.Popen(command, cwd=tmp_path / "elsewhere", env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        eventually(
            lambda: process.poll() is not None or both_route(control), START_PATIENCE
        )  # who starts reads the files
        assert is_ready(port, authority.client())
        (tmp_path / "next").mkdir()
        following = Authority(tmp_path / "next")
        files = following.certificate()
        Path(files.key).replace(tmp_path / "server.key")
        Path(files.certificate).replace(tmp_path / "server.crt")
        eventually(lambda: is_ready(port, following.client()))
        assert not is_ready(port, authority.client())
    finally:
        process.terminate()
    assert process.wait(60) == Exit.GO


def test_files_that_make_no_tls_end_it_at_once_with_their_names(tmp_path: Path) -> None:
    command, *_ = configured(tmp_path, certificate="none.crt")
    ended = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=START_PATIENCE
    )
    assert ended.returncode == Exit.CONFIGURATION
    assert f"the data port's TLS files are not usable: {tmp_path}/none.crt: [Errno 2]" in ended.stderr
    assert "giving up" in ended.stderr
    assert "data port https://127.0.0.1:" in ended.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_the_proxy_alone_speaks_tls_by_its_options(tmp_path: Path, workers: int) -> None:
    authority = Authority(tmp_path)
    files = authority.certificate()
    port = claimed_port()
    options = ["--listen", f"127.0.0.1:{port}", "--workers", str(workers), "--control", "http://127.0.0.1:9"]
    options += ["--trusted-peer", "10.0.0.0/8", "--trusted-peer", "::1"]
    tls = ["--tls-certificate", files.certificate, "--tls-key", files.key, "--tls-client-ca", authority.ca()]
    process = subprocess.Popen([*PENSTOCK, "proxy", *options, *tls], cwd=tmp_path, env=ENVIRONMENT)
    known = authority.client(authority.certificate("me", file="me"))

    def answers(tls: ssl.SSLContext) -> bool:
        try:
            with Client(port, tls=tls) as client:
                return client.request("GET", "/-/live").status == 200
        except (OSError, CutOff):
            return False

    try:
        eventually(lambda: process.poll() is not None or answers(known), START_PATIENCE)
        assert answers(known)
        assert not answers(authority.client())
    finally:
        process.terminate()
        process.wait(60)


def test_a_key_without_its_certificate_is_a_usage_error() -> None:
    command = [*PENSTOCK, "proxy", "--tls-key", "a.key"]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=START_PATIENCE)
    assert ended.returncode == Exit.USAGE
    assert "--tls-key and --tls-client-ca need --tls-certificate" in ended.stderr
