"""The wall clock is for people: whatever it does, a stage lasts as long as it lasts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from tests.endtoend.controlplane import (
    MODEL,
    SECONDS,
    ControlPlane,
    CountingWorker,
    configuration,
    control_plane,
    trail,
)
from tests.servers import eventually

PLAN = {
    "shadow": {"min_duration": "30m", "min_requests": 1},
    "steps": [{"percent": 100, "min_duration": "30m", "min_requests": 1}],
}


@pytest.fixture(scope="module")
def library() -> str:
    """What is preloaded into a process whose clock is to be moved."""
    faketime = shutil.which("faketime")
    if faketime is None:
        assert not os.environ.get("PENSTOCK_REQUIRE_SERVICES"), "faketime is missing; .ci/run shows how to get it"
        pytest.skip("faketime is missing")
    asked = subprocess.run([faketime, "-m", "-f", "+0", "printenv", "LD_PRELOAD"], capture_output=True, text=True)
    return asked.stdout.strip()


@pytest.mark.timeout(600)  # two starts on a busy machine
def test_no_stage_ends_early_when_the_wall_clock_jumps(library: str, tmp_path: Path) -> None:
    url, worker, wall = f"sqlite:///{tmp_path}/penstock.db", CountingWorker(), tmp_path / "wall"
    config = configuration(tmp_path, url, PLAN)
    wall.write_text("+0")
    faked = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(wall),
        "FAKETIME_CACHE_DURATION": "1",  # seconds after which the file is read again
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    began = time.monotonic()
    with control_plane(config, tmp_path / "log", 0, **faked) as control:
        control.until_acting()
        shown = 0.0
        for jump, seconds in (("+3600", 3600), ("+86400", 86_400), ("-3600", -3600)):
            worker.follow(control)
            worker.traffic(2000)
            assert worker.push(control)
            wall.write_text(jump)
            shown = goes_on(control, worker, shown)
            eventually(partial(moved, control, url, seconds))
            assert shown <= time.monotonic() - began, "only time that went by counts"
    assert control.process.wait(SECONDS) == -signal.SIGKILL
    with control_plane(config, tmp_path / "log", 0, **faked) as control:
        control.until_acting()
        shown = goes_on(control, worker, elapsed(control))
        assert shown <= time.monotonic() - began
    assert {link.row.event for link in trail(url)} == {"configure", "start", "pause", "resume"}


def moved(control: ControlPlane, url: str, seconds: float) -> bool:
    """Whether what is written down now has a time so many seconds away."""
    assert control.command("pause", "ada") == 200
    assert control.command("resume", "ada") == 200
    return abs(trail(url)[-1].row.at - time.time() - seconds) < 600


def goes_on(control: ControlPlane, worker: CountingWorker, since: float) -> float:
    """Wait until the stage's clock has moved on; its seconds."""

    def moved() -> float:
        worker.poll(control)
        worker.push(control)
        return elapsed(control) if elapsed(control) > since else 0.0

    return eventually(moved)


def elapsed(control: ControlPlane) -> float:
    """Seconds; the gates have passed, and the stage waits for nothing but its time."""
    status = control.client.get(f"/api/models/{MODEL}").json()
    assert status["phase"] == "shadow"
    return float(status["rollout"]["elapsed"])
