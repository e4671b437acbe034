"""A control plane that is killed at a commit, before it, after it, or when it is in force: what is on record is the
last commit, and the next control plane goes on from there, with no step left out and no rollback forgotten."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gates.adapters.store import SqlStore
from gates.phases import TRANSITIONS
from tests.endtoend.controlplane import PLAN, SECONDS, ControlPlane, CountingWorker, configuration, trail
from tests.endtoend.nursery import Nursery
from tests.servers import eventually

ROUNDS = int(os.environ.get("PENSTOCK_SOAK_KILLS", "1"))
POINTS = ("before", "after", "applied")
RETREATS = ("roll_back", "step_down")
"""In force before they are stored; everything else is stored first."""

FREE = {**PLAN, "steps": [{**step, "approval": False} for step in PLAN["steps"]]}
STRICT = {"errors": {"metric": "error_rate", "max": "4%"}}

Act = Callable[[ControlPlane, CountingWorker], object]


@dataclass(frozen=True)
class Step:
    """One commit: its event, the position that it leads to, what brings it about, and what the configuration says by
    then."""

    event: str
    position: int
    act: Act
    model: Mapping[str, Any] = field(default_factory=dict)


def nothing(control: ControlPlane, worker: CountingWorker) -> None:
    """Time, or the configuration, asks for it."""


def good(control: ControlPlane, worker: CountingWorker) -> None:
    worker.traffic(100)
    worker.push(control)


def bad(control: ControlPlane, worker: CountingWorker) -> None:
    worker.traffic(10, failures=10)
    worker.push(control)


def tolerable(control: ControlPlane, worker: CountingWorker) -> None:
    """Two failures, which are within what any gate allows, and more than the plan does."""
    worker.traffic(50, failures=2)
    worker.push(control)


def asked(wish: str) -> Act:
    return lambda control, worker: control.command(wish, "ada")


def under(plan: Mapping[str, Any], **limits: Any) -> dict[str, Any]:
    return {"plan": {**plan, **limits}}


BEGINNING = (Step("configure", 0, nothing), Step("start", 0, nothing), Step("climb", 1, good))
WAYS: dict[str, Sequence[Step]] = {
    "promoted": (
        *BEGINNING,
        Step("hold", 1, good),
        Step("climb", 2, asked("advance")),
        Step("pause", 2, asked("pause")),
        Step("resume", 2, asked("resume")),
        Step("climb", 3, good),
        Step("bake", 4, good),
        Step("promote", 4, good),
    ),
    "promoted by a person": (*BEGINNING, Step("pause", 1, asked("pause")), Step("promote", 1, asked("promote"))),
    "rolled back by a gate": (*BEGINNING, Step("roll_back", 1, bad)),
    "rolled back by a gate while a person is waited for": (
        *BEGINNING,
        Step("hold", 1, good),
        Step("pause", 1, asked("pause")),
        Step("roll_back", 1, bad),
    ),
    "rolled back by a person": (*BEGINNING, Step("pause", 1, asked("pause")), Step("roll_back", 1, asked("rollback"))),
    "rolled back by the cap": (
        *BEGINNING,
        Step("amend", 1, nothing, under(PLAN, max_bad_answers=2)),
        Step("roll_back", 1, tolerable, under(PLAN, max_bad_answers=2)),
    ),
    "rolled back by the deadline": (
        *BEGINNING,
        Step("amend", 1, nothing, under(PLAN, deadline={"after": "200ms", "then": "roll_back"})),
        Step("roll_back", 1, nothing, under(PLAN, deadline={"after": "200ms", "then": "roll_back"})),
    ),
    "overdue": (
        *BEGINNING,
        Step("amend", 1, nothing, under(PLAN, deadline={"after": "200ms"})),
        Step("overdue", 1, nothing, under(PLAN, deadline={"after": "200ms"})),
    ),
    "stepped down": (
        *BEGINNING,
        Step("amend", 1, nothing, under(FREE, on_fail="step_down")),
        Step("climb", 2, good, under(FREE, on_fail="step_down")),
        Step("step_down", 1, bad, under(FREE, on_fail="step_down")),
        Step("climb", 2, good, under(FREE, on_fail="step_down")),
        Step("roll_back", 2, bad, under(FREE, on_fail="step_down")),
    ),
    "a dry run": (
        *BEGINNING,
        Step("amend", 1, nothing, under(PLAN, dry_run=True)),
        Step("advise", 1, good, under(PLAN, dry_run=True)),
        Step("climb", 2, asked("advance"), under(PLAN, dry_run=True)),
    ),
    "other gates, and a share by hand": (
        *BEGINNING,
        Step("amend", 1, nothing, {"gates": STRICT}),
        Step("set_share", 2, nothing, {"gates": STRICT, "percent": 30}),
        Step("resume", 1, nothing, {"gates": STRICT}),
    ),
}


def cases() -> Iterator[tuple[str, str]]:
    """Each way dies at each point; in one round alone, most of them at one point in turn."""
    for number, way in enumerate(WAYS):
        turn = POINTS if ROUNDS > 1 or way == "promoted" else (POINTS[number % 3],)
        yield from ((way, point) for point in turn)


def test_every_event_of_the_table_is_among_the_deaths() -> None:
    assert {step.event for steps in WAYS.values() for step in steps} == {
        "configure",
        *(event for _, event in TRANSITIONS),
    }


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.mark.timeout(120 + 120 * ROUNDS)
@pytest.mark.parametrize(("way", "point"), list(cases()))
def test_whatever_it_dies_at_the_next_one_goes_on_from_the_last_commit(
    way: str, point: str, nursery: Nursery, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        Trial(nursery, folder, WAYS[way], point).live_and_die()


class Trial:
    """One rollout, from its beginning to its end, whose control planes die at one point of each commit."""

    def __init__(self, nursery: Nursery, folder: Path, steps: Sequence[Step], point: str) -> None:
        self.nursery, self.folder, self.steps, self.point = nursery, folder, steps, point
        self.url, self.worker = f"sqlite:///{folder}/penstock.db", CountingWorker()

    def live_and_die(self) -> None:
        """A death at each step; at those of the beginning, only on the longest way."""
        first = 1 if self.steps is WAYS["promoted"] else len(BEGINNING) + 1
        for number, step in enumerate(self.steps[first - 1 :], first):
            assert self.live(until=number) == -signal.SIGKILL, f"it was not killed at {step.event}"
            stored = self.point == "after" or (self.point == "applied" and step.event not in RETREATS)
            assert self.on_record() == self.expected(number - 1 + stored)
        assert self.live(until=len(self.steps) + 1) == 0
        assert self.on_record() == self.expected(len(self.steps))

    def live(self, until: int) -> int:
        """Bring one step about after another, up to the one at which it dies; the exit status."""
        while (status := self._live(until)) == 0 and self.seen < min(until, len(self.steps)):
            pass  # it was stopped, for a configuration that the next step needs
        return status

    def _live(self, until: int) -> int:
        model = self.steps[min(self.seen, len(self.steps) - 1)].model
        config = configuration(self.folder, self.url, **{"plan": PLAN, **model})
        with self.nursery.bear(config, self.folder / "log", self.point, until) as control:
            eventually(lambda: self._goes_on(control, model))
            return control.stop() if control.process.poll() is None else control.process.wait(SECONDS)

    def _goes_on(self, control: ControlPlane, model: Mapping[str, Any]) -> bool:
        """Whether this life is over: dead, done, or in need of another configuration."""
        if control.process.poll() is not None:
            return True
        if not control.acting:
            return False  # a poll that waits for the start looks like one that is held, and would be acted on anew
        if not self.worker.poll(control) or self.worker.route is None:
            return False
        if self.seen >= len(self.steps) or self.steps[self.seen].model != model:
            return True
        self.steps[self.seen].act(control, self.worker)
        return False

    @property
    def seen(self) -> int:
        """The commits that the worker knows of."""
        return self.worker.snapshot.generation

    def expected(self, commits: int) -> list[tuple[str, int]]:
        return [(step.event, step.position) for step in self.steps[:commits]]

    def on_record(self) -> list[tuple[str, int]]:
        """(event, position) of each audit row: one for each commit, of which the last is the state."""
        store = SqlStore(self.url)
        try:
            state = store.load()
        finally:
            store.close()
        rows = [link.row for link in trail(self.url)]
        assert [row.generation for row in rows] == list(range(1, state.snapshot.generation + 1))
        for rollout in state.rollouts:
            assert (rollout.phase, rollout.position) == (rows[-1].phase, rows[-1].position)
            assert state.snapshot.routes[0].phase == rollout.phase
        return [(row.event, row.position) for row in rows]
