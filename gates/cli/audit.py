"""`penstock audit`: whether the audit trail is what was written, and a copy of it. Both read the store itself, so that
they need no control plane, and take nobody's word."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.asking import print_json
from gates.cli.configuration import load
from gates.cli.options import CONFIG, Config, Json
from gates.exits import Exit, Failure

if TYPE_CHECKING:
    from gates.adapters.store import SqlStore
    from gates.audit import Link

app = typer.Typer(help="Check the audit trail, or copy it out.", rich_markup_mode=None)

PAGE = 500

Store = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="PENSTOCK_STORE", help="The store, in place of the configuration's."),
]


@app.command()
def verify(
    config: Config = CONFIG,
    store: Store = None,
    kept: Annotated[
        str | None, typer.Option(metavar="HASH", help="A head that was noted down earlier: it must be in the trail.")
    ] = None,
    json: Json = False,
) -> None:
    """Walk the chain of hashes; name the first row that does not hold.

    A row that was changed, taken out, put in or moved is found, and so is an end that was cut off. Whoever can write
    the whole database can make a new chain: note the head down elsewhere, and ask for it with --kept the next time.

    \b
      penstock audit verify --store sqlite:///penstock.db
    """
    from gates.audit import GENESIS, Broken, Chain

    chain, head = Chain(), GENESIS
    with reading(config, store) as opened:
        try:
            for links, head in counted(pages(opened), "rows of the audit trail"):  # noqa: B007 - the last one's counts
                chain.follow(links)
            chain.end(head, kept)
        except Broken as broken:
            if json:
                print_json({"holds": False, "rows": chain.rows, "head": chain.head, "problem": str(broken)})
            raise Failure(f"the audit trail does not hold: {broken}", Exit.BROKEN) from None
    if json:
        print_json({"holds": True, "rows": chain.rows, "head": chain.head})
    else:
        print(f"the audit trail holds: {chain.rows} rows, head {chain.head}")


@app.command()
def export(config: Config = CONFIG, store: Store = None) -> None:
    """Print the trail as JSON, a row in each line, oldest first, with its hashes.

    \b
      penstock audit export --store sqlite:///penstock.db > trail.jsonl
    """
    import msgspec

    with reading(config, store) as opened:
        for links, _ in pages(opened):
            for link in links:
                sys.stdout.write(msgspec.json.encode(link).decode() + "\n")


@contextmanager
def reading(config: Path, store: str | None) -> Iterator[SqlStore]:
    """The store that is named, or that of the configuration, to be read only. Raises Failure."""
    url = store or load(config).store
    from gates.adapters.store import open_existing
    from gates.ports import StoreError

    try:
        opened = open_existing(url)
        try:
            yield opened
        finally:
            opened.close()
    except StoreError as error:
        raise Failure(str(error), Exit.UNAVAILABLE) from None


def counted(found: Iterator[tuple[list[Link], str]], what: str) -> Iterator[tuple[list[Link], str]]:
    """The same pages; on a terminal, a line says how many rows were read so far."""
    from rich.console import Console

    console, rows = Console(stderr=True), 0
    with console.status(f"reading {what}") as status:
        for links, head in found:
            rows += len(links)
            status.update(f"reading {what}: {rows:,}")
            yield links, head


def pages(store: SqlStore) -> Iterator[tuple[list[Link], str]]:
    """The whole trail, a page at a time so that commits get in between, each with the head as it was then; the last
    one ends where its head is."""
    number = 0
    while True:
        links, head = store.trail(number, PAGE)
        yield links, head
        if len(links) < PAGE:
            return
        number = links[-1].number
