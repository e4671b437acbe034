"""`penstock reload`: let the control plane read its configuration again, or see first what would come of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.asking import asking, client_of, print_json
from gates.cli.options import CONTROL, By, Control, Json, Reason

if TYPE_CHECKING:
    from gates.configured import Change, Rehearsal, Taken


def register(app: typer.Typer) -> None:
    app.command()(asking(reload))


def reload(
    by: By,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; tell what would change, and what the last hour would be.")
    ] = False,
    reason: Reason = "",
    json: Json = False,
    control: Control = CONTROL,
) -> None:
    """Take up what the configuration says now.

    It does so by itself when a file changes; this tells what came of it. A configuration that is not sound changes
    nothing, each problem is told, and the exit status is 5. SIGHUP does the same without an answer.

    \b
      penstock reload --dry-run
      penstock reload --reason "gates as agreed on Monday"
    """
    with client_of(control) as client:
        told = client.rehearse() if dry_run else client.reload(by, reason)
    if json:
        print_json(told)
    else:
        print("\n".join(_lines(told)))


def _lines(told: Taken | Rehearsal) -> Iterator[str]:
    from gates.configured import Taken

    if not told.changed:
        yield f"configuration {told.digest} is in force already"
    elif isinstance(told, Taken):
        yield f"configuration {told.digest} is in force, generation {told.generation}"
    else:
        yield f"configuration {told.digest} is sound; nothing was changed"
    yield from _changes(told.changes)
    if told.waits_for_restart:
        yield f"only a new start of the control plane takes up: {', '.join(told.waits_for_restart)}"
    if not isinstance(told, Taken):
        yield from _rehearsed(told)


def _changes(changes: tuple[Change, ...]) -> Iterator[str]:
    for change in changes:
        yield f"  {change}"


def _rehearsed(told: Rehearsal) -> Iterator[str]:
    yield from (f"would {each.event}: {each.model}: {each.reason}" for each in told.consequences)
    if told.changed and not told.consequences:
        yield "would change no route and no rollout that is under way"
    for each in told.otherwise:
        instead = each.instead or "no decision yet"
        yield f"last hour: {each.model}: {instead} in place of {each.event}: {each.reason}"
    yield f"last hour: {told.replayed} decisions made again, {len(told.otherwise)} come out otherwise"
