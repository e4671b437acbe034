"""A control plane that is killed at a commit, before it, after it, or when it is in force: what is on record is the
last commit, and the next control plane goes on from there, with no step left out and no rollback forgotten."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gates.adapters.store import SqlStore
from tests.endtoend.controlplane import SECONDS, ControlPlane, CountingWorker, configuration, trail
from tests.servers import eventually

ROUNDS = int(os.environ.get("PENSTOCK_SOAK_KILLS", "1"))
POINTS = ("before", "after", "applied")

Act = Callable[[ControlPlane, CountingWorker], object]
Step = tuple[str, int, Act]
"""The event of one commit, the position that it leads to, and what brings it about."""


def start(control: ControlPlane, worker: CountingWorker) -> None:
    """The configuration asks for it."""


def good(control: ControlPlane, worker: CountingWorker) -> None:
    worker.traffic(100)
    worker.push(control)


def bad(control: ControlPlane, worker: CountingWorker) -> None:
    worker.traffic(10, failures=10)
    worker.push(control)


def asked(wish: str) -> Act:
    return lambda control, worker: control.command(wish, "ada")


BEGINNING: Sequence[Step] = (("configure", 0, start), ("start", 0, start), ("climb", 1, good))
WAYS: dict[str, Sequence[Step]] = {
    "promoted": (
        *BEGINNING,
        ("hold", 1, good),
        ("climb", 2, asked("advance")),
        ("pause", 2, asked("pause")),
        ("resume", 2, asked("resume")),
        ("climb", 3, good),
        ("bake", 4, good),
        ("promote", 4, good),
    ),
    "rolled back by a gate": (*BEGINNING, ("roll_back", 1, bad)),
    "rolled back by a person": (*BEGINNING, ("pause", 1, asked("pause")), ("roll_back", 1, asked("rollback"))),
}


@pytest.mark.timeout(120 + 120 * ROUNDS)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("way", WAYS)
def test_whatever_it_dies_at_the_next_one_goes_on_from_the_last_commit(way: str, point: str, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        live_and_die(folder, WAYS[way], point)


def live_and_die(folder: Path, steps: Sequence[Step], point: str) -> None:
    """Once through all steps, with a death at each of them; at the beginning's, only on the longest way."""
    first = 1 if steps is WAYS["promoted"] else len(BEGINNING) + 1
    url, worker = f"sqlite:///{folder}/penstock.db", CountingWorker()
    config = configuration(folder, url)
    for number, (event, _, _) in enumerate(steps[first - 1 :], first):
        lived = live(config, worker, steps, f"{point}:{number}")
        assert lived == -signal.SIGKILL, f"it was not killed at {event}"
        recorded = on_record(url)
        # A rollback is in force before it is stored; everything else is stored first.
        stored = point == "after" or (point == "applied" and event != "roll_back")
        assert recorded == [(event, place) for event, place, _ in steps[: number - 1 + stored]]
    assert live(config, worker, steps, "never:0") == 0
    assert on_record(url) == [(event, place) for event, place, _ in steps]


def live(config: Path, worker: CountingWorker, steps: Sequence[Step], death: str) -> int:
    """Bring the steps about until the process dies, or all are done; its exit status."""
    program = ("-m", "tests.endtoend.dying", "control")
    with ControlPlane(config, config.with_name("log"), program, PENSTOCK_DIES=death) as control:

        def done() -> bool:
            if control.process.poll() is not None:
                return True
            if not worker.poll(control) or worker.route is None:
                return False
            generation = worker.snapshot.generation
            if generation < len(steps):
                steps[generation][2](control, worker)
                return False
            return death == "never:0"

        if death == "never:0":
            control.until_acting()  # a poll that a process keeps waiting while it starts looks like one that it holds
        eventually(done)
        return control.stop() if control.process.poll() is None else control.process.wait(SECONDS)


def on_record(url: str) -> list[tuple[str, int]]:
    """(event, position) of each audit row: one for each commit, of which the last is the state."""
    store = SqlStore(url)
    try:
        state = store.load()
    finally:
        store.close()
    rows = [link.row for link in trail(url)]
    assert [row.generation for row in rows] == list(range(1, state.snapshot.generation + 1))
    for rollout in state.rollouts:
        assert (rollout.phase, rollout.position) == (rows[-1].phase, rows[-1].position)
        assert state.snapshot.routes[0].phase == rollout.phase
    return [(row.event, row.position) for row in rows]
