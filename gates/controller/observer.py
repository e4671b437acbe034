"""What is seen of every model: the workers' windows, and over them each rollout's watch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gates.controller.ledger import Ledger, Versions
from gates.controller.standing import NOWHERE, Standing
from gates.controller.watch import Watch
from gates.controller.workers import Workers
from gates.ports import Clock
from gates.state import StageClock, State, WorkerSample
from proxy.push import Push


class Observer:
    """Ledger, workers and watches, all following where things stand. `watches` are by model, of its newest rollout."""

    def __init__(self, clock: Clock) -> None:
        self.ledger = Ledger()
        self.workers = Workers()
        self.watches: dict[str, Watch] = {}
        self.restored: frozenset[str] = frozenset()
        """The rollouts that were there before this process: workers still have to bring what they saw meanwhile."""
        self._clock = clock
        self._standing = NOWHERE

    def restore(self, state: State) -> None:
        """Take up what was kept in the store; windows that are newer here stay."""
        clocks = {clock.rollout: clock for clock in state.clocks}
        watched = {watch.rollout.id for watch in self.watches.values()}
        self.restored |= {rollout.id for rollout in state.rollouts} - watched
        for rollout in state.rollouts:
            self.ledger.follow(rollout.model, rollout.begun, Versions(rollout.champion, rollout.candidate))
            known = self.watches.get(rollout.model)
            if known is None or known.rollout.id != rollout.id:
                clock = clocks.get(rollout.id)
                if clock is not None and rollout.carrying and clock.epoch != rollout.epoch:
                    clock = None  # that of an earlier stage
                self.watches[rollout.model] = Watch(rollout, clock)
        self.follow(Standing.of(state))
        self.ledger.restore(state.samples)
        for watch in self.watches.values():
            self._judge(watch)

    def follow(self, standing: Standing) -> None:
        self._standing = standing
        for rollout in standing.rollouts.values():
            known = self.watches.get(rollout.model)
            if known is not None and known.rollout.id == rollout.id:
                known.follow(rollout)
            else:
                self.watches[rollout.model] = Watch(rollout)
        for route in standing.snapshot.routes:
            candidate = route.candidate.version if route.candidate else ""
            self.ledger.follow(route.model, route.epoch, Versions(route.champion.version, candidate))

    def push(self, push: Push) -> bool:
        """Whether anything is new."""
        self.workers.heard(push.worker, self._clock.monotonic())
        return bool(self.ledger.take(push))

    def observe(self) -> None:
        """Let the stages' clocks run, and judge what changed."""
        now = self._clock.monotonic()
        generations = self.workers.live(now).values()
        slowest = min(generations, default=0)
        for watch in self.carrying():
            watch.run(now, routed=slowest >= watch.rollout.epoch)
            self._judge(watch)

    def carrying(self) -> Iterator[Watch]:
        return (watch for watch in list(self.watches.values()) if watch.rollout.carrying)

    def live(self) -> dict[str, int]:
        """The live workers, each with the generation that it routes by."""
        return self.workers.live(self._clock.monotonic())

    def unkept(self) -> tuple[list[WorkerSample], list[StageClock]]:
        """The rollouts' windows and clocks that changed since the last call."""
        samples = self.ledger.changed(self._concerns_rollout)
        return samples, [watch.clock for watch in self.watches.values() if watch.clock_moved]

    def kept(self, clocks: Sequence[StageClock]) -> None:
        by_rollout = {clock.rollout: clock for clock in clocks}
        for watch in self.watches.values():
            if watch.rollout.id in by_rollout:
                watch.clock_kept(by_rollout[watch.rollout.id])

    def _concerns_rollout(self, model: str, epoch: int) -> bool:
        rollout = self._standing.rollouts.get(model)
        return rollout is not None and rollout.begun <= epoch and (epoch < rollout.epoch or rollout.carrying)

    def _judge(self, watch: Watch) -> None:
        """By the present stage's window; an ended rollout is shown as its last stage was."""
        rollout = watch.rollout
        windows = list(self.ledger.windows(rollout.model, rollout.begun, rollout.epoch - (not rollout.carrying)))
        if rollout.carrying and (not windows or windows[-1][0] != rollout.epoch):
            windows.append((rollout.epoch, self.ledger.window(rollout.model, rollout.epoch)))
        if windows:
            *earlier, (_, window) = windows
            watch.observe(window, sum(before.candidate.failures for _, before in earlier))
