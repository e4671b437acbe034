"""What people are told of, and how urgently: from a row of the audit trail, or from a condition that holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gates.decision import unasked
from gates.phases import Event


class Urgency(StrEnum):
    """critical: somebody is called. warning: somebody looks today. info: whoever reads along."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class AlertKey(NamedTuple):
    """Alerts of one `name`, `subject` (a model, or nothing) and `occasion` are the same one."""

    name: str
    subject: str
    occasion: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell; `occasion` tells it from the next one of its kind."""

    name: str
    subject: str
    urgency: Urgency
    title: str
    text: str
    occasion: str = ""

    @property
    def key(self) -> AlertKey:
        return AlertKey(self.name, self.subject, self.occasion)

    @property
    def topic(self) -> AlertKey:
        """What it is the newest word of: the end of a condition is of the same topic as its beginning."""
        return ended(self.key) or self.key


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of a test alert at one channel; `error` is "" where it was taken."""

    channel: str
    error: str


RULES: dict[str, tuple[str, Urgency, str]] = {
    Event.ROLL_BACK: ("rolled_back", Urgency.CRITICAL, "rolled back"),
    Event.STEP_DOWN: ("stepped_down", Urgency.CRITICAL, "went back one step"),
    Event.OVERDUE: ("overdue", Urgency.WARNING, "is late"),
    Event.HOLD: ("awaits_approval", Urgency.WARNING, "waits for approval"),
    Event.ADVISE: ("advised", Urgency.WARNING, "would be moved, were it no dry run"),
    Event.PROMOTE: ("promoted", Urgency.INFO, "promoted"),
    Event.START: ("started", Urgency.INFO, "started"),
    Event.PAUSE: ("paused", Urgency.INFO, "paused"),
    Event.CLIMB: ("climbed", Urgency.INFO, "went on a step"),
    Event.BAKE: ("baking", Urgency.INFO, "serves everybody"),
    Event.SET_SHARE: ("share_set", Urgency.INFO, "has a share by hand"),
    "revert": ("reverted", Urgency.CRITICAL, "serves an earlier version again"),
    "override": ("overridden", Urgency.WARNING, "goes on against its gates"),
    "approve": ("approved", Urgency.INFO, "was reviewed"),
    "reload_refused": ("configuration_refused", Urgency.WARNING, "the configuration is not taken up"),
}
"""By the event of an audit row: the alert's name, how urgent it is, and what it says."""

CONDITIONS: dict[str, tuple[Urgency, str]] = {
    "store_gone": (Urgency.CRITICAL, "the store fails; nothing but rollbacks is decided"),
    "no_workers": (Urgency.CRITICAL, "no worker is heard of"),
    "no_route": (Urgency.CRITICAL, "has no route, and clients get 404"),
    "stuck": (Urgency.CRITICAL, "serves a version that should give way, and cannot"),
    "registry_gone": (Urgency.WARNING, "the model registry fails"),
    "gate_failed": (Urgency.WARNING, "a gate fails, and the rollout is not ended by it"),
    "bake_waits": (Urgency.INFO, "the bake lacks nothing but reviews, outcomes or Prometheus"),
}
"""What may hold for a while: it is told when it begins, and its end as info."""

TEST = "test"
_OVER = "_over"


def told_by(event: str, model: str, by: str, reason: str, occasion: str) -> Alert | None:
    """What a change on record is worth telling, None where nothing.

    What a person asked for is nobody's emergency. `occasion` tells it from the next one of its kind."""
    if event not in RULES:
        return None
    name, urgency, said = RULES[event]
    if not model:
        return Alert(name, "", urgency, f"Penstock: {said}", reason, occasion)
    if urgency is Urgency.CRITICAL and not unasked(by):
        urgency = Urgency.WARNING
    return Alert(name, model, urgency, f"{model}: {said}", f"{reason} (by {by})", occasion)


def begins(condition: str, subject: str, text: str) -> Alert:
    urgency, said = CONDITIONS[condition]
    return Alert(condition, subject, urgency, f"{subject or 'Penstock'}: {said}", text)


def ends(condition: str, subject: str) -> Alert:
    _, said = CONDITIONS[condition]
    return Alert(
        f"{condition}{_OVER}", subject, Urgency.INFO, f"{subject or 'Penstock'}: over: {said}", "It holds no more."
    )


def turns(before: Set[tuple[str, str]], now: Mapping[tuple[str, str], str]) -> Iterator[Alert]:
    """What begins and what ends between two looks; conditions are by name and subject, now with a text."""
    for condition, subject in now.keys() - before:
        yield begins(condition, subject, now[condition, subject])
    for condition, subject in before - now.keys():
        yield ends(condition, subject)


def ended(key: AlertKey) -> AlertKey | None:
    """The beginning that an end takes back, None where the alert is no end."""
    name = key.name.removesuffix(_OVER)
    return key._replace(name=name) if name != key.name else None


def holding(told: Iterable[AlertKey]) -> set[tuple[str, str]]:
    """The conditions among what was told and not taken back."""
    return {(name, subject) for name, subject, _ in told if name in CONDITIONS}
