"""`penstock serve` as a whole: its processes, and the commands that people steer it by."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from gates.exits import Exit
from tests.gates.cli.calling import PENSTOCK
from tests.gates.serving import served
from tests.ports import claimed_port
from tests.servers import START_PATIENCE

ROOT = Path(__file__).parents[2]


@dataclass
class Serving:
    """A running `penstock serve`, and how to talk to it."""

    process: subprocess.Popen[bytes]
    folder: Path
    environment: dict[str, str]
    data: str
    control: str

    def penstock(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*PENSTOCK, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=START_PATIENCE)

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def pid(self, name: str) -> int:
        """Of the newest process of that name."""
        return int(re.findall(rf" {name} \(pid (\d+)\) started", self.said())[-1])

    def whole(self) -> bool:
        """Whether both workers route, and the control plane has heard so."""
        try:
            with urlopen(f"{self.control}/api/status", timeout=60) as answer:
                acknowledged = json.load(answer)["workers"].values()
        except OSError:
            return False
        return len(acknowledged) == 2 and all(acknowledged) and ready(self.data)

    def predict(self) -> str:
        """The version that answered."""
        request = Request(f"{self.data}/invocations", b'{"inputs": [1]}', {"content-type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            assert json.load(answer) == {"predictions": [1]}
            return str(answer.headers["x-penstock-version"])


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def model_server() -> Iterator[str]:
    app = Starlette(routes=[Route("/invocations", lambda _: JSONResponse({"predictions": [1]}), methods=["POST"])])
    with served(app) as url:
        yield url


@pytest.fixture
def serving(model_server: str, tmp_path: Path) -> Iterator[Serving]:
    data, control = f"127.0.0.1:{claimed_port()}", f"127.0.0.1:{claimed_port()}"
    config = {
        "listen": data,
        "control": control,
        "store": f"sqlite:///{tmp_path}/penstock.db",
        "models": {"fraud": {"servers": {"40": [model_server], "42": [model_server]}, "champion": "40"}},
    }
    (tmp_path / "penstock.yaml").write_text(json.dumps(config))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PENSTOCK_CONTROL": f"http://{control}", "COLUMNS": "80"}
    command = [*PENSTOCK, "serve", "--config", str(tmp_path / "penstock.yaml"), "--workers", "2"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stderr=log)
    running = Serving(process, tmp_path, environment, f"http://{data}", f"http://{control}")
    try:
        until(lambda: running.whole() or process.poll() is not None, "workers with a snapshot")
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(START_PATIENCE)
        process.kill()
        process.wait()


def ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/-/ready", timeout=60) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_people_steer_a_rollout(serving: Serving) -> None:
    assert serving.predict() == "40"
    begun = serving.penstock("start", "fraud", "--candidate", "42", "--by", "maria", "--reason", "better offline")
    assert (begun.returncode, begun.stdout) == (0, "fraud: shadow; champion 40, candidate 42 serves 0 %\n")
    climbed = serving.penstock("advance", "fraud")
    assert climbed.stdout == "fraud: ramp; champion 40, candidate 42 serves 1 %\n"
    late = serving.penstock("advance", "fraud", "--approval")
    assert late.returncode == Exit.REFUSED
    assert late.stderr.startswith("penstock: fraud: it waits for no approval; the rollout is in phase ramp, at 1 %")
    assert serving.penstock("pause", "fraud").returncode == 0

    refused = serving.penstock("pause", "fraud")
    assert refused.returncode == Exit.REFUSED
    assert refused.stderr.startswith("penstock: pause is not possible in phase paused; possible: ")
    for command in (["status", "froud"], ["pause", "froud"], ["events", "froud"]):
        unknown = serving.penstock(*command)
        assert unknown.returncode == Exit.REFUSED
        assert unknown.stderr == "penstock: there is no model 'froud'; there are: fraud; did you mean fraud?\n"

    shown = serving.penstock("status")
    assert shown.returncode == 0
    assert "penstock resume fraud, or penstock rollback fraud" in shown.stdout
    assert " 2 workers alive" in shown.stdout
    assert json.loads(serving.penstock("status", "fraud", "--json").stdout)["models"][0]["phase"] == "paused"

    assert serving.penstock("resume", "fraud", "--by", "ada").returncode == 0
    assert (
        serving.penstock("rollback", "fraud", "--by", "ada", "--reason", "odd scores").stdout
        == "fraud: rolled back; champion 40\n"
    )
    rows = json.loads(serving.penstock("events", "fraud", "--json").stdout)
    assert [row["event"] for row in rows][:5] == ["roll_back", "resume", "pause", "climb", "start"]
    assert rows[4]["by"] == "maria"
    assert "odd scores" in serving.penstock("events", "fraud").stdout
    told = serving.penstock("logs", "--lines", "2").stdout.splitlines()
    assert [line.partition("  ")[2] for line in told] == [
        "fraud  resume -> ramp  by ada: asked by ada",
        "fraud  roll back -> rolled back  by ada: odd scores",
    ]
    started = serving.penstock("start", "fraud", "--candidate", "42", "--override", "--json")
    assert json.loads(started.stdout)["phase"] == "shadow"


def test_logs_follow_decisions_through_a_restart(serving: Serving) -> None:
    command = [*PENSTOCK, "logs", "--follow", "--json"]
    follower = subprocess.Popen(command, env=serving.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert follower.stdout is not None
    try:
        assert json.loads(follower.stdout.readline())["event"] == "configure"
        assert serving.penstock("start", "fraud", "--candidate", "42").returncode == 0
        assert json.loads(follower.stdout.readline())["event"] == "start"
        died = serving.pid("control")
        os.kill(died, signal.SIGKILL)
        until(lambda: serving.pid("control") != died, "another control process")
        # refused is one that went through, and whose answer was lost
        until(lambda: serving.penstock("pause", "fraud").returncode in (Exit.GO, Exit.REFUSED), "a pause")
        assert json.loads(follower.stdout.readline())["event"] == "pause"
        follower.send_signal(signal.SIGINT)
        follower.communicate(timeout=START_PATIENCE)
    finally:
        follower.kill()
    assert follower.returncode == 0


def test_the_shell_completes_commands_and_the_names_of_models(serving: Serving) -> None:
    def completed(line: str) -> list[str]:
        asking = {"_PENSTOCK_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        environment = serving.environment | asking
        done = subprocess.run(PENSTOCK, env=environment, capture_output=True, text=True, timeout=START_PATIENCE)
        return done.stdout.split()

    assert {"pause", "promote", "proxy"} <= set(completed("penstock p"))
    until(lambda: completed("penstock pause fr") == ["fraud"], "the model's name, had within a second")
    assert completed("penstock pause x") == []


def test_a_control_process_that_dies_comes_back_to_the_same_rollout(serving: Serving) -> None:
    assert serving.penstock("start", "fraud", "--candidate", "42").returncode == 0
    assert serving.penstock("pause", "fraud").returncode == 0
    command = [*PENSTOCK, "status", "--watch", "--json"]
    watch = subprocess.Popen(command, env=serving.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert watch.stdout is not None
    try:
        assert json.loads(watch.stdout.readline())["models"][0]["phase"] == "paused"
        died = serving.pid("control")
        os.kill(died, signal.SIGKILL)
        assert serving.predict() == "40"
        until(lambda: serving.pid("control") != died, "another control process")
        until(lambda: serving.penstock("status").returncode == 0, "its first answer")
        assert serving.penstock("resume", "fraud").stdout.startswith("fraud: shadow; ")
        while json.loads(watch.stdout.readline())["models"][0]["phase"] != "shadow":
            assert watch.poll() is None
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=START_PATIENCE)
    finally:
        watch.kill()
    assert watch.returncode == 0
    until((serving.folder / "penstock.snapshot.json").exists, "what the workers keep")


def test_a_watch_on_a_terminal(serving: Serving) -> None:
    ours, theirs = pty.openpty()
    watch = subprocess.Popen(
        [*PENSTOCK, "status", "fraud", "--watch"],
        env=serving.environment | {"TERM": "xterm", "LINES": "40"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    try:
        while b"Ctrl-C ends the watch" not in seen:
            seen += os.read(ours, 65_536)
        watch.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # at the end of a terminal
            while data := os.read(ours, 65_536):
                seen += data
        assert watch.wait(START_PATIENCE) == 0
    finally:
        watch.kill()
        os.close(ours)
    picture, behind = seen.split(b"\x1b[?1049l")
    assert b"\x1b[?1049h" in picture, "the watch has a screen of its own"
    assert b"champion 40" in behind, "the last picture stays"
    assert b"Ctrl-C" not in behind


def test_ctrl_c_ends_it_all_in_order(serving: Serving) -> None:
    pids = [serving.pid(name) for name in ("control", "worker 1", "worker 2")]
    serving.process.send_signal(signal.SIGINT)
    assert serving.process.wait(START_PATIENCE) == 0
    ends = re.findall(r"INFO penstock.supervisor\S* (\w+(?: \d)?) \(pid \d+\) ended with status 0", serving.said())
    assert sorted(ends[:2]) == ["worker 1", "worker 2"]
    assert ends[2:] == ["control"]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not ready(serving.data)


def test_a_control_port_in_use(serving: Serving, tmp_path: Path) -> None:
    config = json.loads((tmp_path / "penstock.yaml").read_text())
    config["listen"] = f"127.0.0.1:{claimed_port()}"
    (tmp_path / "other.yaml").write_text(json.dumps(config))
    for command in (["serve"], ["control"]):
        done = serving.penstock(*command, "--config", str(tmp_path / "other.yaml"))
        assert done.returncode == Exit.UNAVAILABLE
        assert f"cannot listen on {config['control']}: Address already in use" in done.stderr.splitlines()[-1]
