"""`penstock disagreements`: pairs of answers that differ, with the request that both got."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.asking import asking, client_of, print_json
from gates.cli.options import CONTROL, Control, Json, Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from gates.state import Recorded

SHOWN = 400
"""Characters of each text in the terminal."""


def register(app: typer.Typer) -> None:
    app.command()(asking(disagreements))


def disagreements(
    model: Model,
    rollout: Annotated[
        str, typer.Option(metavar="ID", help="Of an earlier rollout; `penstock events --json` has its id.")
    ] = "",
    finding: Annotated[str, typer.Option(metavar="NAME", help="Of one finding alone, such as flip or new_nan.")] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="The first so many.")] = 20,
    json: Json = False,
    control: Control = CONTROL,
) -> None:
    """Show answers that differ, and the candidate's own failures.

    The worst of each finding come first, each with the request that both got. Of each finding the worst are kept,
    and a fair sample of all, over the whole rollout and from all workers; without what the configuration names
    under agreement.disagreements.redact.

    \b
      penstock disagreements fraud_detector
      penstock disagreements fraud_detector --finding new_nan --json
    """
    with client_of(control) as client:
        pairs = client.disagreements(model, rollout, finding)[:limit]
    if json:
        print_json(pairs)
    else:
        _show(model, pairs)


def _show(model: str, pairs: Sequence[Recorded]) -> None:
    from rich.console import Console, Group

    if pairs:
        Console().print(Group(*(view(pair, number) for number, pair in enumerate(pairs, 1))))
    else:
        print(f"{model}: no disagreement is on record")


def view(pair: Recorded, number: int) -> RenderableType:
    """One pair as people read it in a terminal: what differs, and the three texts, each cut to a few lines."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from gates.terminal.wording import CANDIDATE, CHAMPION, plain

    head = Text.assemble((f"{number}. ", "dim"), (plain(pair.finding), "bold"), f"   {_extent(pair)}")
    sent = f"{pair.method} {pair.path}   {pair.request_id}   answered by the {pair.served}   {_when(pair.at)}"
    texts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    texts.add_column(no_wrap=True)
    texts.add_column(overflow="fold")
    texts.add_row("request", Text(_cut(plain(pair.request))))
    for name, answer, style in (("champion", pair.champion, CHAMPION), ("candidate", pair.candidate, CANDIDATE)):
        status = "" if 200 <= answer.status < 300 else f"{answer.status or 'no answer'}  "
        label = Text(f"{name} {plain(answer.version)}", style)
        texts.add_row(label, Text(f"{status}{_cut(plain(answer.body))}"))
    return Group(head, Padding(Group(Text(plain(sent), style="dim"), texts), (0, 0, 1, 3)))


def _extent(pair: Recorded) -> str:
    """How much of the pair differs, and what it is an example of."""
    told = []
    if pair.rows > 1 and pair.row is not None:
        told.append(f"{pair.rows_disagreed} of {pair.rows} rows differ, the first is row {pair.row}")
    if pair.largest_gap:
        told.append(f"largest gap {pair.largest_gap:.4g}")
    told += [name for name, chosen in (("worst", pair.worst), ("fair sample", pair.representative)) if chosen]
    return "   ".join(told)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%m-%d %H:%M:%S")


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} … (--json has it all)"
