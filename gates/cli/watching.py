"""What `penstock status` shows: once, or over and over, through a restart of the control plane."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from gates import terminal
from gates.client import ControlFailed
from gates.exits import Exit
from gates.status import ControlStatus
from gates.terminal.troubles import Trouble, troubles
from gates.terminal.wording import plain

EVERY_SECONDS = 1.0
TIMEOUT_SECONDS = 3.0

_HINT = Text(" Ctrl-C ends the watch, and nothing else", style="dim")

Look = Callable[[], ControlStatus]


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest status there is, how old it is (seconds), and what keeps it from being newer."""

    status: ControlStatus
    age: float = 0.0
    trouble: str = ""


def show(status: ControlStatus) -> None:
    Console().print(terminal.overview(status))


def watch(look: Look, *, as_json: bool) -> None:
    """Until Ctrl-C. A first look that fails is the caller's to see; a later one is told and tried again."""
    try:
        if as_json:
            _print_lines(looks(look))
        elif Console().is_terminal:
            _keep_up(looks(look))
        else:
            _print_changes(looks(look))
    except KeyboardInterrupt:
        return


def looks(look: Look, every: float = EVERY_SECONDS) -> Iterator[Seen]:
    """A look, and another each `every` seconds, for ever. Raises ControlFailed where the first one fails, and where the
    control plane answers but refuses."""
    status, at = look(), time.monotonic()
    yield Seen(status)
    while True:
        time.sleep(every)
        try:
            status, at = look(), time.monotonic()
            yield Seen(status)
        except ControlFailed as failure:
            if failure.exit is not Exit.UNAVAILABLE:
                raise
            yield Seen(status, time.monotonic() - at, str(failure))


def _print_lines(seen: Iterator[Seen]) -> None:
    for now in seen:
        if now.trouble:
            print(f"penstock: {now.trouble}", file=sys.stderr)
        else:
            print(msgspec.json.encode(now.status).decode(), flush=True)


def _print_changes(seen: Iterator[Seen]) -> None:
    """For a file or a pipe: a whole picture at each generation and trouble, and a line when the control plane goes
    away."""
    shown: tuple[int, tuple[Trouble, ...]] = (-1, ())
    lost = False
    for now in seen:
        news = (now.status.generation, tuple(troubles(now.status)))
        if now.trouble and not lost:
            print(f"penstock: {now.trouble}", file=sys.stderr)
        elif not now.trouble and (lost or news != shown):
            show(now.status)
            shown = news
        lost = bool(now.trouble)


def _keep_up(seen: Iterator[Seen]) -> None:
    """One picture on the terminal's other screen; the last one stays behind on the usual screen."""
    picture: RenderableType = ""
    try:
        with Live(screen=True, auto_refresh=False) as live:
            for now in seen:
                picture = _picture(now)
                live.update(Group(picture, _HINT), refresh=True)
    finally:
        Console().print(picture)


def _picture(now: Seen) -> RenderableType:
    view = terminal.overview(now.status)
    if not now.trouble:
        return view
    told = f" as of {now.age:.0f} s ago: {plain(now.trouble)}; trying again"
    return Group(view, Text(told, style="bold yellow"))
