"""What the control plane says of itself: the one shape that the API, the terminal, the dashboard and the demo read."""

from __future__ import annotations

from dataclasses import dataclass

from gates.verdict import GateResult, Light
from proxy.snapshot import Phase


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """One variant in one role during the present stage: `champion`, `candidate`, or the shadow of either. Times in
    milliseconds."""

    answers: int
    failures: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class AgreementStatus:
    """The pairs compared in the present stage; `share` of them agreed, None before the first."""

    compared: int
    disagreed: int
    share: float | None
    findings: dict[str, int]


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage of the plan. `state` is done, now, or ahead."""

    name: str
    percent: float
    min_duration: float
    min_requests: int
    approval: bool
    state: str


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """The model's present rollout, or its last one."""

    id: str
    candidate: str
    started_by: str
    phase: Phase
    position: int
    stages: tuple[StageStatus, ...]
    elapsed: float
    requests: int
    waiting_for: tuple[str, ...]
    light: Light
    gates: tuple[GateResult, ...]
    lanes: dict[str, LaneStatus]
    agreement: AgreementStatus
    shadow_dropped: dict[str, int]
    fallbacks: int
    candidate_served: int
    """Requests that the candidate answered for clients over the whole rollout."""
    ended_by_gate: str
    reason: str


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model: who serves it, how much the candidate serves (percent), and the rollout."""

    model: str
    champion: str
    candidate: str | None
    phase: Phase
    percent: float
    generation: int
    rollout: RolloutStatus | None


@dataclass(frozen=True, slots=True)
class RegistryStatus:
    """The errands that the registry has not been told yet, and what it last failed at ("" while all is well)."""

    waiting: int
    trouble: str


@dataclass(frozen=True, slots=True)
class ControlStatus:
    """Everything: the models, and the workers that are alive with the generation that each routes by (0 where it is not
    known to be one of ours)."""

    generation: int
    models: tuple[ModelStatus, ...]
    workers: dict[str, int]
    store_trouble: str = ""
    """What the store last failed at, "" while all is well: until it is back, nothing but rollbacks is decided."""
    registry: RegistryStatus | None = None
