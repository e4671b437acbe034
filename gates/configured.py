"""What came of reading the configuration again, or would come of it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs. None is a key that is not written; values that may hold a password are not shown."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"{self.key}: {_said(self.before)} -> {_said(self.after)}"


def _said(value: str | None) -> str:
    return "not written" if value is None else value


class Taken(msgspec.Struct, tag_field="outcome", tag="taken"):
    """What came of a reload: the generation that is in force, and what was changed, in the words of the file.

    `changed` is False where the files say what is in force already. What waits for the control plane to start anew is
    named by `waits_for_restart`."""

    changed: bool
    digest: str
    generation: int
    changes: tuple[Change, ...] = ()
    waits_for_restart: tuple[str, ...] = ()


class Consequence(msgspec.Struct):
    """One thing that a reload would do to a model."""

    model: str
    event: str
    reason: str


class Otherwise(msgspec.Struct):
    """A decision of the last hour, beside what the configuration would have decided from the same inputs. `instead` is
    "" where it would have waited."""

    at: float
    model: str
    rollout: str
    event: str
    instead: str
    reason: str


class Rehearsal(msgspec.Struct, tag_field="outcome", tag="rehearsed"):
    """What a reload would do now, and what the last hour would have been under it; nothing was changed.

    Of the `replayed` decisions, `otherwise` names those that would have come out otherwise."""

    changed: bool
    digest: str
    changes: tuple[Change, ...] = ()
    waits_for_restart: tuple[str, ...] = ()
    consequences: tuple[Consequence, ...] = ()
    replayed: int = 0
    otherwise: tuple[Otherwise, ...] = ()
