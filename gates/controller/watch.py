"""One rollout under watch: the clock of its stage, and its gates, judged anew only when its window has changed."""

from __future__ import annotations

from gates.checks import evaluate_all
from gates.controller.workers import LIVE_SECONDS
from gates.decision import Observation, Rollout
from gates.phases import CLIMBING
from gates.ports import StageClock
from proxy.window import Window


class Watch:
    """`window` and `seen` are those of the present stage; of an ended rollout, those of its last one."""

    def __init__(self, rollout: Rollout, seconds: float = 0.0) -> None:
        self.rollout = rollout
        self.window = Window()
        self.seen = Observation(seconds)
        self._mark: float | None = None
        self._kept = seconds

    def follow(self, rollout: Rollout) -> None:
        """The rollout moved. A new stage starts without evidence and at second 0."""
        if rollout.carrying and rollout.epoch != self.rollout.epoch:
            self.window, self.seen, self._mark, self._kept = Window(), Observation(), None, 0.0
        self.rollout = rollout

    def run(self, now: float, routed: bool) -> None:
        """The clock runs from one call to the next (`now` is monotonic), if at both the phase was climbing and all
        live workers routed by the stage.

        That a worker is alive is known for a few seconds only, so no longer gap is counted."""
        if not (routed and self.rollout.phase in CLIMBING):
            self._mark = None
            return
        passed = 0.0 if self._mark is None else min(now - self._mark, LIVE_SECONDS)
        self._mark = now
        self.seen = Observation(self.seen.elapsed + passed, self.seen.requests, self.seen.results)

    def observe(self, window: Window) -> None:
        """Judge the stage by its window, if that is another than the last."""
        if window is self.window:
            return
        terms = self.rollout.terms
        results = evaluate_all(terms.gates, window, terms.budget, len(terms.plan.stages))
        self.window = window
        self.seen = Observation(self.seen.elapsed, requests_in(window, self.rollout.position), results)

    @property
    def clock(self) -> StageClock:
        return StageClock(self.rollout.id, self.rollout.epoch, self.seen.elapsed)

    @property
    def clock_moved(self) -> bool:
        """Whether the clock has to be kept."""
        return self.rollout.carrying and self.seen.elapsed != self._kept

    def clock_kept(self, clock: StageClock) -> None:
        if clock.epoch == self.rollout.epoch:
            self._kept = clock.seconds


def requests_in(window: Window, position: int) -> int:
    """As `Stage.min_requests` counts: in shadow the copies that the candidate answered, later what it served."""
    return window.candidate_shadow.answers if position == 0 else served_in(window)


def served_in(window: Window) -> int:
    """The clients' requests that the candidate answered; where it failed and the champion stood in, it did not."""
    return max(window.candidate.answers - window.fallbacks, 0)
