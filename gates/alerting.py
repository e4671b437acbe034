"""Alerts from their reason to their channel: the same one once, none too many, each tried again, and nobody waits.

What was told is on record beside the decisions, so whoever goes on after this process tells nothing twice, and tells
what this one had no time for."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gates.alerts import TEST, Alert, AlertKey, Delivery, Urgency, holding, told_by, turns
from gates.controller.daemonthread import DaemonThread, in_thread
from gates.phases import Event
from gates.ports import AlertLog, Clock, Notifier, NotifyError, StoreError
from gates.settings import Settings
from gates.settings.alerts import AlertSettings
from gates.state import AuditRow
from gates.status import ControlStatus, RolloutStatus
from gates.verdict import GateResult, Verdict
from proxy.snapshot import Phase

logger = logging.getLogger("penstock.alerts")

OUTCOMES = ("sent", "failed", "repeated", "over_rate", "dropped")
LOOK_EVERY = 2.0
STEADY_SECONDS = 6.0
"""A condition is told of that has held for so long: workers need a moment to find a new control plane."""
SEND_SECONDS = 30.0
TRIES = 6
FIRST_PAUSE = 1.0
RATE_SECONDS = 600.0
QUEUE = 200
"""Alerts of one channel on their way; what comes beyond them is dropped and counted."""

Conditions = Mapping[tuple[str, str], str]
MakeNotifier = Callable[[AlertSettings], Notifier]


def conditions(status: ControlStatus, registry_trouble: str) -> Conditions:
    """What holds at this moment that people are told of."""
    found = {("no_workers", ""): "Requests are served by workers that are out of sight, or not at all."}
    found = {} if status.workers else found
    if status.store_trouble:
        found["store_gone", ""] = status.store_trouble
    if registry_trouble:
        found["registry_gone", ""] = registry_trouble
    for model in status.models:
        if model.rollout is not None and model.candidate:
            found |= {(name, model.model): text for name, text in _of_rollout(model.rollout)}
    return found


def _of_rollout(rollout: RolloutStatus) -> Iterator[tuple[str, str]]:
    """Name and text of each condition of a rollout that is under way."""
    if failed := [gate for gate in rollout.gates if gate.verdict is Verdict.FAIL]:
        yield "gate_failed", _said(failed)
    held = [gate for gate in rollout.gates if gate.gate in rollout.held_by and gate.verdict is Verdict.INSUFFICIENT]
    if held and rollout.phase is Phase.BAKE:
        yield "bake_waits", _said(held)


def _said(gates: Iterable[GateResult]) -> str:
    return "; ".join(f"gate {gate.gate}: {gate.reason}" for gate in gates)


class Alerting:
    """One queue for each channel, so that one that hangs holds up no other."""

    def __init__(self, settings: AlertSettings, make: MakeNotifier, clock: Clock, log: AlertLog) -> None:
        """Raises Unusable."""
        self.outcomes = {(urgency, outcome): 0 for urgency in Urgency for outcome in OUTCOMES}
        self._make = make
        self._clock = clock
        self._settings = settings
        self._notifier = make(settings)
        self._log = log
        self._log_calls = DaemonThread("the log of alerts")
        self._notes: set[asyncio.Task[None]] = set()
        self._sent: dict[AlertKey, float] = {}
        self._under_way: Counter[AlertKey] = Counter()
        self._since: dict[tuple[str, str], float] = {}
        self._told: set[tuple[str, str]] = set()
        self._channels: dict[str, _Channel] = {}

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """What makes these settings count. Raises Unusable."""
        notifier = self._make(settings.alerts)

        def follow() -> None:
            self._settings, self._notifier = settings.alerts, notifier
            for channel in self._channels.values():
                channel.notifier = notifier

        return follow

    async def recall(self, rows: Sequence[AuditRow]) -> None:
        """Go on where the last control plane stopped; `rows` are the newest on record, newest first.

        What it decided and did not tell is told now, as far as it is not older than what may be repeated."""
        try:
            told = await in_thread(self._log_calls, self._log.told)
        except StoreError as error:
            logger.warning("what was told before is not known; some alerts may come twice: %s", error)
            told = {}
        self._told = holding(told)
        self._sent |= {key: self._monotonic(at) for key, at in told.items() if not self._is_old(at)}
        for row in reversed([row for row in rows if not self._is_old(row.at)]):
            alert = _told_by(row)
            if alert is not None and alert.key not in self._sent:
                self.offer(alert)

    def on_record(self, row: AuditRow) -> None:
        """A row was written: tell who is to know. Never blocks."""
        if (alert := _told_by(row)) is not None:
            self.offer(alert)

    def look(self, now: Conditions) -> None:
        """What holds at this moment; what began a while ago is told, and what ended."""
        at = self._clock.monotonic()
        self._since = {condition: self._since.get(condition, at) for condition in now}
        steady = {
            condition: text
            for condition, text in now.items()
            if condition in self._told or at - self._since[condition] >= STEADY_SECONDS
        }
        for alert in turns(self._told, steady):
            self.offer(alert)
        self._told = set(steady)

    def offer(self, alert: Alert) -> None:
        """To the channels of its urgency, unless it is the same as before."""
        now = self._clock.monotonic()
        last = self._sent.get(alert.key)
        if last is not None and now - last < self._settings.repeat_after:
            self._count(alert, "repeated")
            return
        self._sent = {key: at for key, at in self._sent.items() if now - at < self._settings.repeat_after}
        self._sent[alert.key] = now
        channels = self._settings.routes.get(alert.urgency, ())
        if channels:
            self._under_way[alert.key] += len(channels)
        for name in channels:
            self._channel(name).put(alert)

    async def test(self, urgency: Urgency) -> list[Delivery]:
        """Send one to each channel of this urgency, past all limits, and tell what came of it."""
        alert = Alert(TEST, "", urgency, f"Penstock: a test of {urgency} alerts", "Nothing has happened.")
        names = self._settings.routes.get(urgency, ())
        return list(await asyncio.gather(*(self._channel(name).test(alert) for name in names)))

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()
        self._log_calls.shutdown(wait=False)

    def _channel(self, name: str) -> _Channel:
        if name not in self._channels:
            self._channels[name] = _Channel(name, self._notifier, self._clock, self._done, lambda: self._settings.most)
        return self._channels[name]

    def _done(self, alert: Alert, outcome: str) -> None:
        """One channel is done with it; once all are, it is on record as told."""
        self._count(alert, outcome)
        self._under_way[alert.key] -= 1
        if self._under_way[alert.key] <= 0:
            del self._under_way[alert.key]
            self._notes.add(note := asyncio.get_running_loop().create_task(self._note(alert.key)))
            note.add_done_callback(self._notes.discard)

    async def _note(self, key: AlertKey) -> None:
        wall = self._clock.wall()
        try:
            await in_thread(self._log_calls, self._log.tell, key, wall, wall - self._settings.repeat_after)
        except StoreError as error:
            logger.warning("alert %s was told, and is not on record as such: %s", key.name, error)

    def _count(self, alert: Alert, outcome: str) -> None:
        self.outcomes[alert.urgency, outcome] += 1

    def _is_old(self, wall: float) -> bool:
        return self._clock.wall() - wall >= self._settings.repeat_after

    def _monotonic(self, wall: float) -> float:
        """The same moment by the other clock, now at the latest."""
        return self._clock.monotonic() - max(self._clock.wall() - wall, 0.0)


def _told_by(row: AuditRow) -> Alert | None:
    return told_by(row.event, row.model, row.by, row.reason, _occasion(row))


def _occasion(row: AuditRow) -> str:
    """A rollout does the same in each of its stages once: a retreat that had to be made again is the same one. Advice
    may change within a stage, and what people and gates do beside a rollout is another thing each time."""
    if not row.model:
        return ""
    if row.rollout and row.event != Event.ADVISE:
        return f"{row.rollout}:{row.position}"
    return f"{row.rollout}:{row.at!r}"


class _Channel:
    """One channel's queue and the thread that works on it."""

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        clock: Clock,
        count: Callable[[Alert, str], None],
        most: Callable[[], int],
    ) -> None:
        self.notifier = notifier
        self._name = name
        self._clock = clock
        self._count = count
        self._most = most
        self._thread = DaemonThread(f"alerts to {name}")
        self._waiting: deque[Alert] = deque()
        self._times: deque[float] = deque()
        self._held_back = 0
        self._task: asyncio.Task[None] | None = None

    def put(self, alert: Alert) -> None:
        if not self._has_room():
            self._held_back += 1
            self._count(alert, "over_rate")
            return
        if len(self._waiting) >= QUEUE:
            self._count(alert, "dropped")
            return
        if self._held_back:
            alert = replace(alert, text=f"{alert.text}\n({self._held_back} more were held back before this one)")
            self._held_back = 0
        self._times.append(self._clock.monotonic())
        self._waiting.append(alert)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def test(self, alert: Alert) -> Delivery:
        try:
            await self._send(alert)
        except NotifyError as error:
            return Delivery(self._name, str(error))
        return Delivery(self._name, "")

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        while self._waiting:
            alert = self._waiting.popleft()
            self._count(alert, "sent" if await self._deliver(alert) else "failed")

    async def _deliver(self, alert: Alert) -> bool:
        """Several tries, ever further apart; whether one of them did it."""
        for turn in range(TRIES):
            try:
                await self._send(alert)
                return True
            except NotifyError as error:
                left = TRIES - turn - 1
                logger.warning("alert %s not delivered, %d tries left: %s", alert.name, left, error)
                if left:
                    await asyncio.sleep(FIRST_PAUSE * 2**turn)
        return False

    async def _send(self, alert: Alert) -> None:
        """Raises NotifyError."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await in_thread(self._thread, self.notifier.send, self._name, alert)
        except TimeoutError:
            raise NotifyError(f"{self._name}: the service did not answer within {SEND_SECONDS:g} s") from None

    def _has_room(self) -> bool:
        now = self._clock.monotonic()
        while self._times and now - self._times[0] >= RATE_SECONDS:
            self._times.popleft()
        return len(self._times) < self._most()
