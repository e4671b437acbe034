"""What the controller asks of the world: protocols of a few methods, each with a real end and a fake one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from gates.alerts import Alert, AlertKey
from gates.evidence import Moments
from gates.promotion.outcomes import Joined
from gates.promotion.series import Series
from gates.promotion.versions import VersionFacts
from gates.state import AuditRow, Commit, Errand, Recorded, StageClock, State, WorkerSample


class StoreError(Exception):
    """The store could not do what was asked: gone, locked, full or damaged. Nothing was changed."""


class StaleGeneration(StoreError):
    """Another controller acts, or has committed since this one last looked; the commit was refused whole."""


class RegistryError(Exception):
    """The model registry could not answer: it is out of reach, or does not know the model or version asked for."""


class NotRegistered(RegistryError):
    """The registry answered: it knows no such model, version or alias."""


class Unusable(Exception):
    """Something that the configuration names cannot be had: a token, a channel; the text names its key, and no
    secret. `key` is the way to it in the configuration."""

    def __init__(self, message: str, key: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.key = key


class NotifyError(Exception):
    """The alert was not taken."""


class MetricsError(Exception):
    """The metrics server could not answer a query: it is out of reach, or does not understand it."""


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """Who is on trial against whom: what the registry needs to know of one rollout."""

    rollout: str
    model: str
    champion: str
    candidate: str


class Store(Protocol):
    """The durable truth. Each method may block and raises StoreError where it fails; a commit is atomic."""

    @property
    def name(self) -> str:
        """Who asks, among all that share the store: the name of this process's lease."""
        ...

    def lead(self, seconds: float) -> str:
        """Take or renew the lease to act, for so long by the store's own clock.

        Returns who holds it from now on: `name`, or another whose lease has not run out."""
        ...

    def resign(self) -> None:
        """Let another take the lease at once, if it is ours."""
        ...

    def load(self) -> State: ...

    def commit(self, commit: Commit) -> None:
        """Compare-and-swap on the generation, and write all of the commit in one transaction.

        A rollout that begins with this commit takes the place of the model's last one, whose windows and clock are
        dropped. Raises StaleGeneration where the store's generation is not one below the snapshot's, and, for a
        fenced commit, where another has the lease, be it run out or not."""
        ...

    def keep(self, samples: Sequence[WorkerSample], clocks: Sequence[StageClock]) -> int:
        """Keep the newest windows and clocks: an older sequence of the same worker never replaces a newer one, nor an
        earlier stage's clock a later one's.

        Returns the store's generation, by which a controller sees that another has committed."""
        ...

    def record(self, pairs: Sequence[Recorded], out: Sequence[str]) -> None:
        """Keep disagreements by their id, and drop those whose ids are `out`."""
        ...

    def recorded(self, rollout: str) -> Sequence[Recorded]:
        """The disagreements of a rollout, in no order."""
        ...

    def expire(self, model: str, before: float) -> None:
        """Drop the model's disagreements that were recorded before this wall time."""
        ...

    def note(self, row: AuditRow) -> None:
        """Write down what changes nothing, under the generation that is; `row` need not know it.

        Raises StaleGeneration where another has the lease."""
        ...

    def history(self, model: str | None, limit: int, since: int = 0) -> Sequence[AuditRow]:
        """The newest audit rows, of one model or of all, newest first; of them, those of generation `since` and later
        ones."""
        ...


class OutcomeStore(Protocol):
    """What came of the answers, joined to the arm that gave them. Each method may block, and raises StoreError."""

    def add(self, model: str, outcomes: Sequence[Joined], kept: Sequence[str]) -> int:
        """Keep those that are not known yet, by (rollout, name, id), and drop all of the model's other rollouts than
        those of `kept`. Returns how many were new."""
        ...

    def tally(self, rollout: str) -> Mapping[str, Mapping[str, Moments]]:
        """By outcome and arm, the moments over units: many outcomes of one unit are one value, their mean."""
        ...


class AlertLog(Protocol):
    """Which alerts were told, and when last: wall seconds. A condition is among them until its end is told. Each method
    may block, and raises StoreError."""

    def told(self) -> Mapping[AlertKey, float]: ...

    def tell(self, key: AlertKey, at: float, before: float) -> None:
        """Note it down; of the end of a condition, that it holds no more. What was told before `before` is forgotten,
        but for conditions: those may hold yet."""
        ...


class Outbox(Protocol):
    """The errands that wait for the registry."""

    def waiting(self) -> Sequence[Errand]:
        """The undone errands, oldest first."""
        ...

    def done(self, errand: int) -> None: ...


class Clock(Protocol):
    """Monotonic seconds for durations, wall seconds since the epoch for people."""

    def monotonic(self) -> float: ...

    def wall(self) -> float: ...


class Versions(Protocol):
    """What the registry knows of versions. Each method may block, and raises RegistryError: NotRegistered where the
    registry knows no such model or version."""

    def resolve(self, model: str, reference: str) -> str:
        """The version number that `reference` (a number, or an alias such as "@champion") names now."""
        ...

    def champion(self, model: str) -> str | None:
        """The version that serves, by the registry; None where it knows of none yet."""
        ...

    def facts(self, model: str, version: str) -> VersionFacts:
        """All that is known of a version; its files are read whole."""
        ...


class MetricSource(Protocol):
    """A server of time series. Its method may block, and raises MetricsError."""

    @property
    def name(self) -> str:
        """What a report calls it, without passwords."""
        ...

    def series(self, query: str, seconds: float, at: float) -> Sequence[Series]:
        """The answer to a PromQL query at `at` (wall seconds), with the points of the `seconds` before; with 0, the
        newest alone."""
        ...


class Registry(Protocol):
    """The model registry. Each method may block, and may be called again with the same arguments after a crash."""

    def resolve(self, model: str, reference: str) -> str:
        """The version number that `reference` (a number, or an alias such as "@champion") names now.

        Raises RegistryError, naming model and reference, where there is none."""
        ...

    def begin(self, facts: RolloutFacts, parameters: Mapping[str, str], by: str, at: float) -> None:
        """Open the rollout's run, with its parameters, and point the `candidate` alias at the candidate.

        `at` is wall time in seconds since the epoch."""
        ...

    def measure(self, facts: RolloutFacts, figures: Mapping[str, float], at: float) -> None:
        """Add one point of each named figure (a gate's value, the ramp percentage) to the rollout's run."""
        ...

    def exhibit(self, facts: RolloutFacts, pairs: Sequence[Recorded], at: float) -> None:
        """Add the disagreements to the rollout's run, as a table."""
        ...

    def certify(self, facts: RolloutFacts, record: Mapping[str, object], at: float) -> None:
        """Put the record of the promotion beside the rollout's run."""
        ...

    def revert(self, facts: RolloutFacts, by: str, reason: str, at: float) -> None:
        """Version `facts.champion` serves again in place of `facts.candidate`: move aliases, stages and tags, and
        record it in a run of its own."""
        ...

    def finish(
        self,
        facts: RolloutFacts,
        outcome: Literal["promoted", "rolled_back"],
        by: str,
        reason: str,
        at: float,
        decisions: Sequence[Mapping[str, object]],
    ) -> None:
        """Move aliases, stages and tags as the outcome asks, store the decisions, and close the rollout's run."""
        ...


class Notifier(Protocol):
    """The channels that alerts go to."""

    def send(self, channel: str, alert: Alert) -> None:
        """Hand the alert to the channel's service. It may block. Raises NotifyError."""
        ...
