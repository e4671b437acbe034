"""`penstock logs`: what is decided, a line each, as it comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.asking import asking, client_of
from gates.cli.options import CONTROL, Control, Json, ModelOrAll
from gates.exits import Exit

if TYPE_CHECKING:
    from gates.state import AuditRow

EVERY_SECONDS = 1.0
MOST = 1000
TIMEOUT_SECONDS = 5.0

Ask = Callable[[int], "tuple[AuditRow, ...]"]
"""The newest rows of a generation and later ones, newest first."""


def register(app: typer.Typer) -> None:
    app.command()(asking(logs))


def logs(
    model: ModelOrAll = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=1000, metavar="N", help="The newest so many.")] = 20,
    json: Json = False,
    control: Control = CONTROL,
) -> None:
    """Tell what was decided, by whom and why, oldest first.

    With --follow it goes on through a restart of the control plane, and misses nothing. With --json each line is the
    whole record of a decision, its inputs included.

    \b
      penstock logs --follow
      penstock logs fraud_detector --json | jq .reason
    """
    with client_of(control, TIMEOUT_SECONDS) as client:

        def ask(since: int) -> tuple[AuditRow, ...]:
            return client.events(model, since=since, limit=MOST if since else lines)

        _print(rows(ask) if follow else reversed(ask(0)), as_json=json)


def rows(ask: Ask, every: float = EVERY_SECONDS) -> Iterator[AuditRow]:
    """What there is, oldest first, and then whatever comes, for ever; each row once.

    Raises ControlFailed where the first question fails, and where the control plane answers but refuses."""
    from gates.client import ControlFailed

    told: list[AuditRow] = list(reversed(ask(0)))
    yield from told
    lost = False
    while True:
        time.sleep(every)
        last = told[-1].generation if told else 0
        try:
            found = list(reversed(ask(last)))
        except ControlFailed as failure:
            if failure.exit is not Exit.UNAVAILABLE:
                raise
            if not lost:
                print(f"penstock: {failure}; trying again", file=sys.stderr)
            lost = True
            continue
        if lost:
            print("penstock: it answers again", file=sys.stderr)
            lost = False
        fresh = [row for row in found if row not in told]
        yield from fresh
        told = [row for row in told if row.generation == last] + fresh


def _print(found: Iterable[AuditRow], *, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from gates import decisions

    console = Console()
    try:
        for row in found:
            if as_json:
                print(msgspec.json.encode(row).decode(), flush=True)
            else:
                console.print(decisions.decision_line(row), soft_wrap=True)
    except KeyboardInterrupt:
        return
