"""What the control plane says of itself: the one shape that the API, the terminal, the dashboard and the demo read."""

from __future__ import annotations

from dataclasses import dataclass, field

from gates.drift import Drift
from gates.health import UNSEEN, Health
from gates.outlook import Forecast
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
    errors: dict[str, int] = field(default_factory=dict)
    """The failures by the code of what went wrong."""
    abandoned: int = 0
    """Requests whose client left before its answer was whole, and copies that a worker gave up as it stopped; they are
    none of the answers."""


@dataclass(frozen=True, slots=True)
class AgreementStatus:
    """The pairs compared in the present stage; `share` of them agreed, None before the first.

    With 95 % confidence, at all times at once, the true share lies from `low` to `high`. `noise` is the share in which
    the champion agrees with itself, of `noise_compared` probes.

    `coverage` is the share of the comparable pairs that were compared, and `skipped` has the others by reason. The gaps
    are each pair's largest |a - b|, in the predictions' own unit. `rows` are those of pairs whose bytes differ."""

    compared: int
    disagreed: int
    share: float | None
    findings: dict[str, int]
    low: float = 0.0
    high: float = 1.0
    noise: float | None = None
    noise_compared: int = 0
    coverage: float | None = None
    skipped: dict[str, int] = field(default_factory=dict)
    gap_p50: float | None = None
    gap_p99: float | None = None
    largest_gap: float = 0.0
    rows: int = 0
    rows_disagreed: int = 0


@dataclass(frozen=True, slots=True)
class SliceStatus:
    """One value of a slice, in the present stage: both arms' answers, served and mirrored alike, and the pairs."""

    value: str
    champion: LaneStatus
    candidate: LaneStatus
    compared: int
    disagreed: int


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
    forecasts: tuple[Forecast, ...] = ()
    """Where each gate of the stage is heading, while the rollout is under way."""
    false_alarm: float = 0.0
    """The rollout's whole budget for false alarms, a probability, and the part of each critical gate in each stage."""
    false_alarm_each: float = 0.0
    warnings: tuple[str, ...] = ()
    """The gates that cannot be decided in a stage, or not in reasonable time at the traffic of this one."""
    bad_answers: int = 0
    """Clients' requests that the candidate failed in the whole rollout, and the number that rolls back, if any."""
    max_bad_answers: int | None = None
    champion: Health = UNSEEN
    """How the champion is: in this stage, and once the candidate is rolled back, since then."""
    dry_run: bool = False
    stepped_down: bool = False
    overdue: bool = False
    outputs: tuple[Drift, ...] = ()
    """How the two versions' answers are distributed in this stage, by column."""
    slices: dict[str, tuple[SliceStatus, ...]] = field(default_factory=dict)
    """Each declared slice's values, the busiest first."""
    epoch: int = 0
    """Which stage this is: a number that no other stage has had, nor will have."""
    held_by: tuple[str, ...] = ()
    """The gates over reviews, outcomes or Prometheus that the stage waits for, where it lacks nothing else."""
    stuck: str = ""
    """Why the version before does not serve again, though outcomes since the promotion say that it should."""


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
    possible: tuple[str, ...] = ()
    """What people can ask for now: start, or the wishes of `gates.phases` that the phase allows."""
    previous: str = ""
    """The version that served before, and the one before that; "" where none is on record."""
    fallback: str = ""
    warm: tuple[str, ...] = ()
    """Those of the two that have servers: a rollback to them takes effect at once."""


@dataclass(frozen=True, slots=True)
class UnresolvedStatus:
    """A configured model that waits for the registry to tell which version an alias names. What it last answered is the
    `reason`, "" before it was asked. Where nothing of the model serves yet, it has no route and is not `routed`."""

    model: str
    alias: str
    routed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RegistryStatus:
    """The errands that the registry has not been told yet, and what it last failed at ("" while all is well)."""

    waiting: int
    trouble: str


@dataclass(frozen=True, slots=True)
class ConfigurationStatus:
    """The configuration in force: the first digits of a SHA-256 over its files, and when it was taken up, in seconds
    since the epoch. `trouble` says why the files as they are now are not in force, "" where they are."""

    digest: str
    taken_at: float
    trouble: str = ""
    waits_for_restart: tuple[str, ...] = ()
    """The keys that only a new start of the control plane takes up."""


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
    configuration: ConfigurationStatus | None = None
    unresolved: tuple[UnresolvedStatus, ...] = ()
    """The models that wait for an alias; those without a route stand here alone."""
