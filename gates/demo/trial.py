"""One rollout of the demo, from its start to its end, shown live."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gates.client import ControlClient
from gates.phases import ENDED
from gates.status import ModelStatus, RolloutStatus

LOOK_EVERY = 0.5
PATIENCE = 150.0
"""Seconds that one stage may take: the slower the machine, the longer the whole."""


class TrialError(Exception):
    """A rollout stands still."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a rollout ended; `seconds` from its start to its end."""

    rollout: RolloutStatus
    seconds: float


def trial(client: ControlClient, model: str, candidate: str, show: Callable[[ModelStatus], None]) -> Outcome:
    """Start a rollout of `candidate`, show its status again and again, and return how it ended.

    Raises TrialError where a stage is not passed within `PATIENCE` seconds, naming what it waits for."""
    began = entered = time.monotonic()
    position = 0
    client.start(model, candidate, by="penstock demo", reason="the demo's rollout")
    while True:
        status = client.model(model)
        show(status)
        rollout = status.rollout
        now = time.monotonic()
        if rollout is not None and rollout.candidate == candidate and rollout.phase in ENDED:
            return Outcome(rollout, round(now - began, 2))
        if rollout is not None and rollout.position != position:
            position, entered = rollout.position, now
        if now - entered > PATIENCE:
            waiting = ", ".join(rollout.waiting_for) if rollout else "its start"
            raise TrialError(f"candidate {candidate} is still {status.phase} after {PATIENCE:.0f} s, for {waiting}")
        time.sleep(LOOK_EVERY)
