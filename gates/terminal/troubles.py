"""What is wrong beside the rollouts, what it means, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.text import Text

from gates.status import ConfigurationStatus, ControlStatus, RegistryStatus, UnresolvedStatus
from gates.terminal.wording import plain

WIDEST = 100
_STORE = (
    "only rollbacks are decided, and written once it answers; clients are served all the same. Mend the database: "
    "nothing has to be restarted"
)
_REGISTRY = (
    "aliases, tags and runs are behind until it answers, and versions named by an alias wait; clients are served all "
    "the same"
)
_REFUSED = "the last good configuration stays. Mend what is named and save: it is taken up at once"
_RESTART = (
    "all else that was saved is in force. Restart the control plane when it suits: rollouts go on where they were"
)
_STUCK = "it is tried again each second. Mend what stands in the way, or penstock rollback --to another version"
_UNROUTED = (
    "its requests are answered 404 until the registry tells. A version number in the configuration counts at once"
)
_UNRESOLVED = "all goes on as it was until the registry tells. A version number in the configuration counts at once"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, a line for each cause, what that means and what helps; `grave` is what no screen may pass over."""

    what: str
    causes: tuple[str, ...]
    means: str
    grave: bool = True


def troubles(status: ControlStatus) -> Iterator[Trouble]:
    """None while all is well. The dashboard says the same, in its own `troubles.js`."""
    for model in status.models:
        if model.rollout is not None and model.rollout.stuck:
            yield Trouble(f"{model.model} serves a version that should give way", (model.rollout.stuck,), _STUCK)
    for one in status.unresolved:
        yield _unresolved(one)
    if status.store_trouble:
        yield Trouble("the store fails", (status.store_trouble,), _STORE)
    if status.registry is not None and status.registry.trouble:
        yield _registry(status.registry)
    if status.configuration is not None:
        yield from _configuration(status.configuration)


def troubles_view(status: ControlStatus) -> Iterator[RenderableType]:
    """Each trouble as a paragraph, the last with an empty line behind it."""
    lines = [line for trouble in troubles(status) for line in _lines(trouble)]
    if lines:
        yield from (Constrain(line, WIDEST) for line in (*lines, Text()))


def _unresolved(one: UnresolvedStatus) -> Trouble:
    what = f"{one.model} waits for {one.alias}" if one.routed else f"{one.model} has no route: it waits for {one.alias}"
    cause = one.reason or "the registry has not told yet which version that is"
    return Trouble(what, (cause,), _UNRESOLVED if one.routed else _UNROUTED, grave=not one.routed)


def _registry(registry: RegistryStatus) -> Trouble:
    waiting = "1 errand waits" if registry.waiting == 1 else f"{registry.waiting:,} errands wait"
    return Trouble(f"the registry fails, {waiting}", (registry.trouble,), _REGISTRY, grave=False)


def _configuration(configuration: ConfigurationStatus) -> Iterator[Trouble]:
    if configuration.trouble:
        yield Trouble("the configuration as saved is not in force", tuple(configuration.trouble.splitlines()), _REFUSED)
    if configuration.waits_for_restart:
        keys = ", ".join(configuration.waits_for_restart)
        yield Trouble("saved, and not in force before a new start", (keys,), _RESTART, grave=False)


def _lines(trouble: Trouble) -> Iterator[RenderableType]:
    mark, style = ("✘", "bold red") if trouble.grave else ("!", "bold yellow")
    if len(trouble.causes) == 1:
        yield Text.assemble((f"{mark} {plain(trouble.what)}: ", style), plain(trouble.causes[0]))
    else:
        yield Text(f"{mark} {plain(trouble.what)}:", style)
        yield from (Padding(Text(plain(cause)), (0, 0, 0, 2)) for cause in trouble.causes)
    yield Padding(Text(trouble.means, style="dim"), (0, 0, 0, 2))
