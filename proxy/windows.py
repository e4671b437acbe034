"""A worker's own windows: cumulative, one for each (model, epoch), and which of them changed since the last push; and
what goes with them, the disagreements on record."""

from __future__ import annotations

from dataclasses import replace

from proxy.push import Push, Sample
from proxy.reservoir import Reservoir
from proxy.snapshot import ModelRoute, Snapshot
from proxy.units import Units
from proxy.window import Window, merge

Key = tuple[str, int]
RETIREMENT = 900.0


class _Epoch:
    """What is kept of one model in one epoch. `left` is when a snapshot routed by another, None while it does not."""

    __slots__ = ("changed", "firsts", "left", "units", "window")

    def __init__(self) -> None:
        self.window = Window()
        self.firsts: Window | None = None
        self.units: Units | None = None
        self.changed = False
        self.left: float | None = None

    def whole(self) -> Window:
        later, firsts = self.window, self.firsts
        return later if firsts is None else replace(merge(later, firsts), firsts=firsts)


class Windows:
    """Written by the hot path, read by the link. `worker` is unique to this process's life, so no count is ever taken
    twice."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self._sequence = 0
        self._epochs: dict[Key, _Epoch] = {}
        self._route: ModelRoute | None = None  # the one asked for last, and what was found: it is asked for again
        self._found = _Epoch()
        self.reservoir = Reservoir(worker)

    def of(self, route: ModelRoute, first: bool = False) -> Window:
        """The window that a sample routed by `route` counts in; it is taken to change now. What comes from the `first`
        request of a unit has a window apart until both are pushed as one."""
        epoch = self._found if route is self._route else self._find(route)
        epoch.changed = True
        if not first:
            return epoch.window
        if epoch.firsts is None:
            epoch.firsts = Window()
        return epoch.firsts

    def first(self, route: ModelRoute, unit: bytes) -> bool:
        """Whether this is the unit's first request in the route's epoch, where that is to be told apart."""
        if not route.by_unit:
            return False
        epoch = self._find(route)
        if epoch.units is None:
            epoch.units = Units()
        return epoch.units.first(unit)

    def _find(self, route: ModelRoute) -> _Epoch:
        epoch = self._epochs.get((route.model, route.epoch))
        if epoch is None:
            epoch = self._epochs[route.model, route.epoch] = _Epoch()
        self._route, self._found = route, epoch
        return epoch

    @property
    def changed(self) -> bool:
        return self.reservoir.waiting or any(epoch.changed for epoch in self._epochs.values())

    def next_push(self) -> Push:
        """Everything that changed since the last push. What is pushed but not received must be given back to
        `put_back`."""
        self._sequence += 1
        changed = sorted(key for key, epoch in self._epochs.items() if epoch.changed)
        samples = tuple([Sample(*key, self._epochs[key].whole()) for key in changed])
        for key in changed:
            self._epochs[key].changed = False
        return Push(self.worker, self._sequence, samples, self.reservoir.next())

    def put_back(self, push: Push) -> None:
        for sample in push.samples:
            epoch = self._epochs.get((sample.model, sample.epoch))
            if epoch is not None:
                epoch.changed = True
        self.reservoir.put_back(push.disagreements)

    def forget_old(self, snapshot: Snapshot, now: float) -> None:
        """Drop the windows whose epoch no snapshot has routed by for `RETIREMENT` seconds and that were received whole.

        A request or copy that is still under way counts in its own epoch, and a window begun anew would overwrite the
        old counts: hence a retirement far longer than any deadline. `now` is monotonic, in seconds."""
        self.reservoir.forget_old(snapshot)
        self._route = None
        current = {(route.model, route.epoch) for route in snapshot.routes}
        for key, epoch in list(self._epochs.items()):
            if key in current:
                epoch.left = None
            elif epoch.left is None:
                epoch.left = now
            elif now - epoch.left > RETIREMENT and not epoch.changed:
                del self._epochs[key]
