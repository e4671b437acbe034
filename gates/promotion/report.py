"""What a check of gates found, as one record: what people read and pipelines keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gates.verdict import GateResult, Light, light

Stage = Literal["offline", "staging", "live", "production"]
STAGES: tuple[Stage, ...] = ("offline", "staging", "live", "production")


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage's gates, judged."""

    stage: Stage
    light: Light
    gates: tuple[GateResult, ...]

    @classmethod
    def of(cls, stage: Stage, results: Sequence[GateResult]) -> StageReport:
        return cls(stage, light(results), tuple(results))


@dataclass(frozen=True, slots=True)
class Report:
    """A check of one candidate: its stages, and one light for them all. `at` is wall time in seconds since the epoch;
    `model` and the versions are "" where a file of gates was checked alone."""

    model: str
    candidate: str
    champion: str
    at: float
    light: Light
    stages: tuple[StageReport, ...]

    @classmethod
    def of(cls, model: str, candidate: str, champion: str, at: float, stages: Sequence[StageReport]) -> Report:
        every = [result for stage in stages for result in stage.gates]
        return cls(model, candidate, champion, at, light(every), tuple(stages))

    @property
    def results(self) -> tuple[GateResult, ...]:
        return tuple(result for stage in self.stages for result in stage.gates)
