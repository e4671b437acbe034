"""What the workers have seen: the newest window of each (worker, model, epoch), merged on demand, never added twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce

from gates.state import WorkerSample
from proxy.push import Push
from proxy.window import Window, merge, merge_all

ERAS_KEPT = 4


@dataclass(frozen=True, slots=True)
class Versions:
    """Whom an era's windows are about; `candidate` is "" where none was on trial."""

    champion: str
    candidate: str = ""


@dataclass(slots=True)
class _Epoch:
    newest: dict[str, WorkerSample] = field(default_factory=dict)
    merged: Window | None = None

    def put(self, sample: WorkerSample) -> bool:
        known = self.newest.get(sample.worker)
        if known is not None and known.sequence >= sample.sequence:
            return False
        self.newest[sample.worker] = sample
        self.merged = None
        return True

    @property
    def window(self) -> Window:
        if self.merged is None:
            self.merged = merge_all(kept.sample.window for kept in self.newest.values())
        return self.merged


@dataclass(slots=True)
class _Era:
    """The epochs from `first` on in which the same versions met."""

    first: int
    versions: Versions
    epochs: dict[int, _Epoch] = field(default_factory=dict)

    @property
    def window(self) -> Window:
        return merge_all(epoch.window for epoch in self.epochs.values())


@dataclass(slots=True)
class _Account:
    """One model's eras, the newest last, and the sums of those before them."""

    eras: list[_Era] = field(default_factory=list)
    folded: dict[Versions, Window] = field(default_factory=dict)
    latest: int = 0

    def follow(self, epoch: int, versions: Versions) -> None:
        self.latest = max(self.latest, epoch)
        if self.eras and (self.eras[-1].versions == versions or self.eras[-1].first >= epoch):
            return
        self.eras.append(_Era(epoch, versions))
        if len(self.eras) > ERAS_KEPT:
            old = self.eras.pop(0)
            self.folded[old.versions] = merge(self.folded.get(old.versions, Window()), old.window)

    def era_of(self, epoch: int) -> _Era | None:
        if epoch > self.latest:
            return None
        return next((era for era in reversed(self.eras) if era.first <= epoch), None)


class Ledger:
    """Windows by model and epoch; all sums are those of the monoid in `proxy.window`.

    A model's history is a sequence of eras: a rollout from its beginning to its end, and the time between two. The
    last four eras are kept by epoch and worker, so that a late or repeated push finds its place; older ones are folded
    into one sum for each pair of versions, and what still comes for them is let go. Windows that are handed out are
    shared: read them, and change nothing."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}
        self._changed: set[tuple[str, int, str]] = set()

    def follow(self, model: str, epoch: int, versions: Versions) -> None:
        """From this epoch on, the model's windows are about these versions. Epochs come in rising order."""
        self._accounts.setdefault(model, _Account()).follow(epoch, versions)

    def take(self, push: Push) -> set[str]:
        """Put what is newer in its place; returns the models whose windows changed.

        Windows of a model or an epoch that nobody was told of are ignored."""
        samples = (WorkerSample(push.worker, push.sequence, sample) for sample in push.samples)
        taken = [sample for sample in samples if self._put(sample)]
        self._changed.update((kept.sample.model, kept.sample.epoch, kept.worker) for kept in taken)
        return {kept.sample.model for kept in taken}

    def restore(self, samples: Iterable[WorkerSample]) -> None:
        """Put back what was kept in the store."""
        for sample in samples:
            self._put(sample)

    def changed(self, wanted: Callable[[str, int], bool]) -> list[WorkerSample]:
        """The samples of the `wanted` (model, epoch) that changed since the last call; the others are forgotten."""
        keys, self._changed = self._changed, set()
        epochs = ((self._epoch(model, epoch), worker) for model, epoch, worker in sorted(keys) if wanted(model, epoch))
        return [epoch.newest[worker] for epoch, worker in epochs if epoch is not None]

    def put_back(self, samples: Iterable[WorkerSample]) -> None:
        """They could not be kept: they count as changed again."""
        self._changed.update((kept.sample.model, kept.sample.epoch, kept.worker) for kept in samples)

    def window(self, model: str, epoch: int) -> Window:
        """All workers' windows of one epoch, merged; the same object until one of them changes."""
        known = self._epoch(model, epoch)
        return Window() if known is None else known.window

    def windows(self, model: str, first: int, last: int) -> Iterator[tuple[int, Window]]:
        """(epoch, window) from one epoch to another, both included, in order."""
        eras = self._accounts[model].eras if model in self._accounts else []
        for era in eras:
            for epoch in sorted(era.epochs):
                if first <= epoch <= last:
                    yield epoch, era.epochs[epoch].window

    def totals(self, model: str) -> Mapping[Versions, Window]:
        """All that was ever seen of the model, by the versions that met; no count in it ever falls."""
        account = self._accounts.get(model, _Account())
        return reduce(_with_era, account.eras, dict(account.folded))

    def _put(self, kept: WorkerSample) -> bool:
        account = self._accounts.get(kept.sample.model)
        era = None if account is None else account.era_of(kept.sample.epoch)
        return era is not None and era.epochs.setdefault(kept.sample.epoch, _Epoch()).put(kept)

    def _epoch(self, model: str, epoch: int) -> _Epoch | None:
        account = self._accounts.get(model)
        era = None if account is None else account.era_of(epoch)
        return None if era is None else era.epochs.get(epoch)


def _with_era(totals: dict[Versions, Window], era: _Era) -> dict[Versions, Window]:
    return totals | {era.versions: merge(totals.get(era.versions, Window()), era.window)}
