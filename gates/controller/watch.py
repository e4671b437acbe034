"""One rollout under watch: the clock of its stage, and its gates, looked at anew only when its window has changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from gates.checks import GateWatch, judge, look
from gates.controller.workers import LIVE_SECONDS
from gates.decision import Observation
from gates.health import champion_health
from gates.outside import OutsideGate
from gates.phases import CLIMBING
from gates.rollout import Rollout
from gates.state import StageClock
from gates.verdict import GateResult
from proxy.window import Window

FRESH_SECONDS = 30.0
"""For so long a gate's word from outside stands; then nothing is known of it any more."""


class Watch:
    """`window`, `evidence` and `seen` are those of the present stage; of an ended rollout, those of its last one."""

    def __init__(self, rollout: Rollout, kept: StageClock | None = None) -> None:
        """`kept` is what the store has of the stage: the watch goes on from there."""
        clock = kept or StageClock(rollout.id, rollout.epoch, 0.0)
        self.rollout = rollout
        self.stuck = ""
        """Why the version before does not serve again, though outcomes since the promotion say that it should."""
        self.window = Window()
        self.seen = Observation(clock.seconds, age=clock.age)
        self.evidence = msgspec.json.decode(clock.evidence, type=tuple[GateWatch, ...])
        self._epoch = clock.epoch
        self._heard: dict[OutsideGate, tuple[float, GateResult]] = {}
        self._mark: float | None = None
        self._routed = False
        self._kept = self._state
        self._listen(-math.inf)

    def follow(self, rollout: Rollout) -> None:
        """The rollout moved. A new stage starts without evidence and at second 0."""
        if rollout.carrying and rollout.epoch != self._epoch:
            self.window, self.seen, self.evidence, self._epoch = Window(), Observation(), (), rollout.epoch
            self._mark, self._kept = None, self._state
            self._heard = {}
        self.rollout = rollout
        self._listen(-math.inf)

    def run(self, now: float, routed: bool) -> None:
        """The stage's age runs from one call to the next (`now` is monotonic) while the phase is climbing; its clock
        only if at both calls all live workers routed by the stage.

        That a worker is alive is known for a few seconds only, so no longer gap is counted."""
        passed = 0.0 if self._mark is None else min(now - self._mark, LIVE_SECONDS)
        counted = passed if routed and self._routed else 0.0
        climbing = self.rollout.phase in CLIMBING
        self._mark, self._routed = (now, routed) if climbing else (None, False)
        if climbing:
            self.seen = replace(self.seen, elapsed=self.seen.elapsed + counted, age=self.seen.age + passed)
        self._listen(now)

    def hear(self, epoch: int, results: Mapping[OutsideGate, GateResult], now: float) -> None:
        """What gates over other things than windows said, asked in the stage that began at `epoch`: what was asked in
        an earlier one says nothing about this."""
        if epoch == self._epoch:
            self._heard |= {gate: (now, result) for gate, result in results.items()}
            self._listen(now)

    @property
    def unheard(self) -> bool:
        """Whether there is a gate in this stage that nothing has been heard of."""
        return any(gate not in self._heard for gate in self.rollout.terms.outside_at(self.rollout.position))

    def _listen(self, now: float) -> None:
        """Take up what was heard of the stage's gates, and is not too old. Of a rollout that has ended, all stays."""
        if self.rollout.carrying:
            self._heard = {gate: heard for gate, heard in self._heard.items() if now - heard[0] <= FRESH_SECONDS}
            gates = self.rollout.terms.outside_at(self.rollout.position)
            said = tuple(self._heard[gate][1] if gate in self._heard else gate.unheard for gate in gates)
            if said != self.seen.outside:
                self.seen = replace(self.seen, outside=said)

    def observe(self, window: Window, failed_before: int = 0) -> None:
        """Judge the stage by its window, if that is another than the last. `failed_before` are the clients' requests
        that the candidate failed in earlier stages."""
        bad = failed_before + window.candidate.failures
        if window is self.window and bad == self.seen.bad_answers:
            return
        terms, position = self.rollout.terms, self.rollout.position
        gates = terms.gates_at(position)
        self.window = window
        self.evidence = look(gates, self.evidence, window)
        self.seen = replace(
            self.seen,
            requests=requests_in(window, position),
            results=judged(self.rollout, self.evidence, window),
            bad_answers=bad,
            champion=champion_health(terms.gates, window, terms.budget),
        )

    @property
    def clock(self) -> StageClock:
        evidence = msgspec.json.encode(self.evidence).decode()
        return StageClock(self.rollout.id, self._epoch, self.seen.elapsed, self.seen.age, evidence)

    @property
    def clock_moved(self) -> bool:
        """Whether the clock has to be kept."""
        return self._state != self._kept

    def clock_kept(self, clock: StageClock) -> None:
        if clock.epoch == self._epoch:
            evidence = self.evidence if clock == self.clock else None
            self._kept = (clock.seconds, clock.age, evidence)

    @property
    def _state(self) -> tuple[float, float, tuple[GateWatch, ...] | None]:
        return (self.seen.elapsed, self.seen.age, self.evidence)


def judged(rollout: Rollout, evidence: tuple[GateWatch, ...], window: Window) -> tuple[GateResult, ...]:
    """What the gates of the rollout's stage say, by watches that have looked at the window."""
    gates = rollout.terms.gates_at(rollout.position)
    return judge(gates, evidence, window, rollout.alarm_alpha, rollout.terms.budget.false_pass)


def requests_in(window: Window, position: int) -> int:
    """As `Stage.min_requests` counts: in shadow the copies that the candidate answered, later what it served."""
    return window.candidate_shadow.answers if position == 0 else served_in(window)


def served_in(window: Window) -> int:
    """The clients' requests that the candidate answered; where it failed and the champion stood in, it did not."""
    return max(window.candidate.answers - window.fallbacks, 0)
