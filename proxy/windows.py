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


class Windows:
    """Written by the hot path, read by the link. `worker` is unique to this process's life, so no count is ever taken
    twice."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self._sequence = 0
        self._windows: dict[Key, Window] = {}
        self._firsts: dict[Key, Window] = {}
        self._units: dict[Key, Units] = {}
        self._changed: set[Key] = set()
        self._left: dict[Key, float] = {}
        self.reservoir = Reservoir(worker)

    def of(self, route: ModelRoute, first: bool = False) -> Window:
        """The window that a sample routed by `route` counts in; it is taken to change now. What comes from the `first`
        request of a unit has a window apart until both are pushed as one."""
        key = (route.model, route.epoch)
        self._changed.add(key)
        windows = self._firsts if first else self._windows
        window = windows.get(key)
        if window is None:
            window = windows[key] = Window()
        return window

    def first(self, route: ModelRoute, unit: bytes) -> bool:
        """Whether this is the unit's first request in the route's epoch, where that is to be told apart."""
        if not route.by_unit:
            return False
        key = (route.model, route.epoch)
        units = self._units.get(key)
        if units is None:
            units = self._units[key] = Units()
        return units.first(unit)

    @property
    def changed(self) -> bool:
        return bool(self._changed) or self.reservoir.waiting

    def next_push(self) -> Push:
        """Everything that changed since the last push. What is pushed but not received must be given back to
        `put_back`."""
        self._sequence += 1
        samples = tuple(Sample(*key, self._whole(key)) for key in sorted(self._changed))
        self._changed.clear()
        return Push(self.worker, self._sequence, samples, self.reservoir.next())

    def put_back(self, push: Push) -> None:
        self._changed.update((sample.model, sample.epoch) for sample in push.samples)
        self.reservoir.put_back(push.disagreements)

    def forget_old(self, snapshot: Snapshot, now: float) -> None:
        """Drop the windows whose epoch no snapshot has routed by for `RETIREMENT` seconds and that were received whole.

        A request or copy that is still under way counts in its own epoch, and a window begun anew would overwrite the
        old counts: hence a retirement far longer than any deadline. `now` is monotonic, in seconds."""
        self.reservoir.forget_old(snapshot)
        current = {(route.model, route.epoch) for route in snapshot.routes}
        for key in {*self._windows, *self._firsts}:
            if key in current:
                self._left.pop(key, None)
            elif now - self._left.setdefault(key, now) > RETIREMENT and key not in self._changed:
                del self._left[key]
                for kept in (self._windows, self._firsts, self._units):
                    kept.pop(key, None)

    def _whole(self, key: Key) -> Window:
        later, firsts = self._windows.get(key, _NOTHING), self._firsts.get(key)
        return later if firsts is None else replace(merge(later, firsts), firsts=firsts)


_NOTHING = Window()
