"""One channel that alerts go to: its queues, its limits, and how long it is tried."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gates.alerts import Alert, AlertKey, Delivery, Urgency
from gates.controller.daemonthread import DaemonThread, in_thread
from gates.ports import Clock, Notifier, NotifyError

logger = logging.getLogger("penstock.alerts")

CHANNEL_OUTCOMES = ("sent", "failed", "late", "over_rate", "dropped", "overtaken")
"""late: a critical one that is tried on for hours. overtaken: there was newer word of the same thing before it went."""
SEND_SECONDS = 30.0
QUICK = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each of the first tries, for which the alerts behind it wait."""
LATE = (60.0, 120.0, 240.0, *[300.0] * 70)
"""Seconds before each further try of a critical alert: six hours in all, and no other waits for them."""
RATE_SECONDS = 600.0
QUEUE = 200
"""Alerts of one kind on their way, critical, late or other; what comes beyond them is given up and counted."""


@dataclass(slots=True, eq=False)
class _Letter:
    """One of its own, however like another one; while it waits, it may be added to."""

    alert: Alert
    done: Callable[[str], None]

    @property
    def critical(self) -> bool:
        return self.alert.urgency is Urgency.CRITICAL


class Channel:
    """Two queues, critical alerts first, and the thread that works on them."""

    def __init__(self, name: str, notifier: Notifier, clock: Clock, most: Callable[[], int]) -> None:
        """`most` is how many alerts in ten minutes are enough; critical ones go on beyond that."""
        self.notifier = notifier
        self._name = name
        self._clock = clock
        self._most = most
        self._thread = DaemonThread(f"alerts to {name}")
        self._urgent: deque[_Letter] = deque()
        self._waiting: deque[_Letter] = deque()
        self._late: dict[AlertKey, tuple[_Letter, asyncio.Task[None]]] = {}
        self._times: deque[float] = deque()
        self._held_back = 0
        self._task: asyncio.Task[None] | None = None

    def put(self, alert: Alert, done: Callable[[str], None]) -> None:
        """On its way. `done` hears what became of it: one of CHANNEL_OUTCOMES, and another one after `late`."""
        self._overtake(alert.topic)
        letter = _Letter(self._with_held_back(alert), done)
        queue = self._urgent if letter.critical else self._waiting
        if not letter.critical and not self._has_room():
            self._held_back += 1
            done("over_rate")
        elif len(queue) >= QUEUE:
            done("dropped")
        else:
            self._held_back = 0
            self._times.append(self._clock.monotonic())
            if letter.critical:
                self._go_before(letter.alert)
            queue.append(letter)
            self._go_on()

    async def test(self, alert: Alert) -> Delivery:
        try:
            await self._send(alert)
        except NotifyError as error:
            return Delivery(self._name, str(error))
        return Delivery(self._name, "")

    def close(self) -> None:
        for task in (self._task, *(task for _, task in self._late.values())):
            if task is not None:
                task.cancel()
        self._thread.shutdown(wait=False)

    def _overtake(self, topic: AlertKey) -> None:
        """Nothing older of the same topic goes any more: the last word that people hear has to be the newest."""
        for queue in (self._urgent, self._waiting):
            for letter in [letter for letter in queue if letter.alert.topic == topic]:
                queue.remove(letter)
                letter.done("overtaken")
        if topic in self._late:
            letter, task = self._late.pop(topic)
            task.cancel()
            letter.done("overtaken")

    def _go_before(self, urgent: Alert) -> None:
        """Older word of the same model goes after it, and says so: a step that was climbed before the rollback."""
        for letter in self._waiting:
            if letter.alert.subject == urgent.subject != "":
                letter.alert = replace(letter.alert, text=f"{letter.alert.text}\n(since then: {urgent.title})")

    def _with_held_back(self, alert: Alert) -> Alert:
        if not self._held_back:
            return alert
        return replace(alert, text=f"{alert.text}\n({self._held_back} more were held back before this one)")

    def _go_on(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while queue := self._urgent or self._waiting:
            letter = queue[0]
            taken = await self._deliver(letter.alert, QUICK)
            if letter not in queue:  # overtaken meanwhile
                continue
            queue.remove(letter)
            if not taken and letter.critical and len(self._late) < QUEUE:
                self._late[letter.alert.topic] = letter, asyncio.get_running_loop().create_task(self._insist(letter))
                letter.done("late")
            else:
                letter.done("sent" if taken else "failed")

    async def _insist(self, letter: _Letter) -> None:
        """The tries that no other alert waits for."""
        at = datetime.fromtimestamp(self._clock.wall(), UTC)
        alert = replace(
            letter.alert, text=f"{letter.alert.text}\n(late: it could not be told at {at:%Y-%m-%d %H:%M} UTC)"
        )
        taken = await self._deliver(alert, LATE)
        del self._late[alert.topic]
        letter.done("sent" if taken else "failed")

    async def _deliver(self, alert: Alert, pauses: Sequence[float]) -> bool:
        """A try after each pause, until one does it; whether one did."""
        for turn, pause in enumerate(pauses, 1):
            await asyncio.sleep(pause)
            try:
                await self._send(alert)
                return True
            except NotifyError as error:
                logger.warning("alert %s not delivered, %d tries left: %s", alert.name, len(pauses) - turn, error)
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
