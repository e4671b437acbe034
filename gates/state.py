"""What the store keeps: where every model stands, how it came there, and the change that a commit makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gates.phases import RETREATS
from gates.rollout import Rollout
from proxy.disagreements import Disagreement
from proxy.push import Sample
from proxy.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Serving:
    """Which version serves a model, the name that the configuration gave its champion when that was settled (a version
    or an alias), and the generation that settled it."""

    model: str
    version: str
    configured: str
    epoch: int = 0
    previous: str = ""
    """The version that served before this one, and the one before that: whom to go back to. "" where none is known."""
    fallback: str = ""

    def moved(self, version: str, epoch: int) -> Serving:
        """Another version serves; of the past the two newest others are kept."""
        past = [old for old in (self.version, self.previous, self.fallback) if old not in ("", version)]
        previous, fallback = (*past, "", "")[:2]
        return replace(self, version=version, epoch=epoch, previous=previous, fallback=fallback)


@dataclass(frozen=True, slots=True)
class WorkerSample:
    """The newest that one worker pushed of one (model, epoch)."""

    worker: str
    sequence: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class StageClock:
    """How far a rollout's stage is; `epoch` tells the stage.

    `seconds` are those for which all live workers have routed by it, `age` those since it began. `evidence` is JSON:
    what the gates' watches have seen, exactly."""

    rollout: str
    epoch: int
    seconds: float
    age: float = 0.0
    evidence: str = "[]"


@dataclass(frozen=True, slots=True)
class Trial:
    """Who has been tried against whom."""

    model: str
    champion: str
    candidate: str


class Recorded(Disagreement, frozen=True, kw_only=True):
    """A disagreement of a rollout, on record since `at`: wall time in seconds since the epoch.

    `worst` and `representative` tell what it was chosen for, once it is read."""

    rollout: str
    at: float
    worst: bool = False
    representative: bool = False


UNROUTED = Snapshot(0, ())


@dataclass(frozen=True, slots=True)
class State:
    """The store's present: all that a controller needs to go on where the last one stopped.

    `rollouts` holds each model's newest, `tried` the trials of all that are on record."""

    snapshot: Snapshot = UNROUTED
    servings: tuple[Serving, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    tried: frozenset[Trial] = frozenset()
    clocks: tuple[StageClock, ...] = ()
    samples: tuple[WorkerSample, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One change of one model, for people and for replay. `at` is wall time in seconds since the epoch; `inputs` is
    JSON."""

    generation: int
    at: float
    model: str
    rollout: str
    event: str
    by: str
    reason: str
    phase: str
    position: int
    inputs: str


@dataclass(frozen=True, slots=True)
class Errand:
    """Work for the registry that a commit asks for: done after it, at least once, in order. `body` is JSON."""

    id: int
    kind: str
    body: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One change, stored whole or not at all; the snapshot's generation is one above the store's.

    A decision changes one rollout, a new configuration may change many models at once. `errands` are (kind, body), in
    order."""

    snapshot: Snapshot
    audit: tuple[AuditRow, ...]
    rollouts: tuple[Rollout, ...] = ()
    servings: tuple[Serving, ...] = ()
    gone: tuple[str, ...] = ()
    """The models that are served no more."""
    errands: tuple[tuple[str, str], ...] = ()

    @property
    def fenced(self) -> bool:
        """Whether only the lease's holder may make it: a retreat is taken from whoever has seen the reason for it."""
        return any(row.event not in RETREATS for row in self.audit)
