"""The data-plane workers as the control plane sees them: who is alive, and by which generation each one routes."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.snapshot import Snapshot

LIVE_SECONDS = 3.0
FORGOTTEN_AFTER = 60.0


@dataclass(slots=True)
class _Worker:
    heard: float
    sent: Snapshot | None = None
    generation: int = 0


class Workers:
    """Times are monotonic seconds, passed in.

    A worker's word for its generation counts only where that is what was sent to it from here: its snapshot may be one
    that another control plane, or an earlier store, gave the same number."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}

    def heard(self, worker: str, now: float) -> None:
        """It pushed."""
        self._known(worker, now)

    def polled(self, worker: str, generation: int, now: float) -> Snapshot | None:
        """It says that it routes by `generation`; returns that snapshot, None where it did not come from here."""
        known = self._known(worker, now)
        held = known.sent if known.sent is not None and known.sent.generation == generation else None
        known.generation = 0 if held is None else generation
        return held

    def sent(self, worker: str, snapshot: Snapshot, now: float) -> None:
        self._known(worker, now).sent = snapshot

    def live(self, now: float) -> dict[str, int]:
        """The generation that each worker heard within the last 3 s routes by, 0 where that is not known."""
        for name in [name for name, known in self._workers.items() if now - known.heard > FORGOTTEN_AFTER]:
            del self._workers[name]
        return {
            name: known.generation for name, known in sorted(self._workers.items()) if now - known.heard <= LIVE_SECONDS
        }

    def _known(self, worker: str, now: float) -> _Worker:
        known = self._workers.setdefault(worker, _Worker(now))
        known.heard = now
        return known
