"""A worker's own windows: cumulative, one for each (model, epoch), and which of them changed since the last push; and
what goes with them, the disagreements on record."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from proxy.push import Push, Sample
from proxy.reservoir import Reservoir
from proxy.snapshot import ModelRoute, Snapshot
from proxy.units import Units
from proxy.window import Window, merge

Key = tuple[str, int]
RETIREMENT = 900.0
MOST_IN_A_PUSH = 128
"""Lanes in one push, which are those of 32 windows without slices: to write them takes half a millisecond, in which no
request is answered."""


class _Epoch:
    """What is kept of one model in one epoch. `left` is when a snapshot routed by another, None while it does not."""

    __slots__ = ("changed", "firsts", "key", "left", "units", "window")

    def __init__(self, key: Key) -> None:
        self.key = key
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
        self._changed: deque[_Epoch] = deque()  # each once, and first what was pushed longest ago
        self._route: ModelRoute | None = None  # the one asked for last, and what was found: it is asked for again
        self._found = _Epoch(("", 0))
        self.reservoir = Reservoir(worker)

    def of(self, route: ModelRoute, first: bool = False) -> Window:
        """The window that a sample routed by `route` counts in; it is taken to change now. What comes from the `first`
        request of a unit has a window apart until both are pushed as one."""
        epoch = self._found if route is self._route else self._find(route)
        if not epoch.changed:
            self._change(epoch)
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
            key = (route.model, route.epoch)
            epoch = self._epochs[key] = _Epoch(key)
        self._route, self._found = route, epoch
        return epoch

    def _change(self, epoch: _Epoch) -> None:
        epoch.changed = True
        self._changed.append(epoch)

    @property
    def changed(self) -> bool:
        return self.reservoir.waiting or bool(self._changed)

    @property
    def waiting(self) -> int:
        """How many windows changed since they were pushed."""
        return len(self._changed)

    def next_push(self) -> Push:
        """Of what changed since it was pushed, as much as one push may hold, and first what has waited longest. What is
        pushed but not received must be given back to `put_back`."""
        self._sequence += 1
        samples: list[Sample] = []
        room = MOST_IN_A_PUSH
        while self._changed and room > 0:
            epoch = self._changed.popleft()
            epoch.changed = False
            window = epoch.whole()
            samples.append(Sample(*epoch.key, window))
            room -= window.lanes
        return Push(self.worker, self._sequence, tuple(samples), self.reservoir.next())

    def put_back(self, push: Push) -> None:
        """Behind what waits already, so that windows which are never received keep none of the others waiting."""
        for sample in push.samples:
            epoch = self._epochs.get((sample.model, sample.epoch))
            if epoch is not None and not epoch.changed:
                self._change(epoch)
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
