"""Alerts, tried out: does a channel take one?"""

from __future__ import annotations

import msgspec

from gates.alerting import Alerting
from gates.alerts import Delivery, Urgency
from gates.api.operations import Call, Operation


class Trial(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a test: the urgency whose channels are to get an alert."""

    urgency: Urgency = Urgency.CRITICAL


class Telling:
    """The alerts' door."""

    def __init__(self, alerting: Alerting) -> None:
        self._alerting = alerting

    def operations(self) -> list[Operation]:
        tells = "Send a test alert to each channel of an urgency, and tell what came of it."
        return [Operation("POST", "/api/alerts/test", tells, self._test, body=Trial, answer=tuple[Delivery, ...])]

    async def _test(self, call: Call) -> list[Delivery]:
        return await self._alerting.test(call.body.urgency)
