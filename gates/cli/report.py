"""`penstock report`: a month of rollouts, for whoever has to know of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.audit import Store, pages, reading
from gates.cli.options import CONFIG, Config, Json
from gates.exits import Exit, Failure

if TYPE_CHECKING:
    from gates.controller.monthly import Report
    from gates.state import AuditRow

FORMATS = ("markdown", "html", "json")

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
th, td {{ border: 1px solid #ccc; padding: .3rem .6rem; text-align: left }}
</style></head><body>
{body}</body></html>
"""


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", show_default="the present one", help="Which month, in UTC.")
    ] = None,
    format: Annotated[str, typer.Option(metavar="FORMAT", help="markdown, html or json.")] = "markdown",
    json: Json = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to, in place of the terminal.")] = None,
    config: Config = CONFIG,
    store: Store = None,
) -> None:
    """Write what was tried in a month, and what came of it.

    From the audit trail, which has to hold: every rollout with who decided and why, rollbacks, reviews, and where
    somebody went on against the gates. It reads the store itself, and changes nothing.

    \b
      penstock report --month 2026-11 --format html --output november.html
    """
    from gates.controller.monthly import Month, Report

    if format not in FORMATS:
        raise Failure(f"--format {format}: expected {', '.join(FORMATS)}", Exit.USAGE)
    try:
        wanted = Month.of(month or f"{datetime.now(UTC):%Y-%m}")
    except ValueError:
        raise Failure(f"--month {month}: expected a year and a month, such as 2026-11", Exit.USAGE) from None
    rows, head = _trail(config, store)
    written = _written(Report.of(rows, wanted, head), "json" if json else format)
    if output is None:
        print(written, end="")
        return
    try:
        output.write_text(written, "utf-8")
    except OSError as error:
        raise Failure(f"--output {output}: {error.strerror}", Exit.UNAVAILABLE) from None


def _trail(config: Path, store: str | None) -> tuple[list[AuditRow], str]:
    """All of it, oldest first, and its head. Raises Failure where it does not hold."""
    from gates.audit import GENESIS, Broken, Chain

    chain, head, rows = Chain(), GENESIS, []
    with reading(config, store) as opened:
        try:
            for links, head in pages(opened):  # noqa: B007 - the last one's is the trail's
                chain.follow(links)
                rows += [link.row for link in links]
            chain.end(head)
        except Broken as broken:
            raise Failure(f"the audit trail does not hold: {broken}", Exit.BROKEN) from None
    return rows, head


def _written(report: Report, format: str) -> str:
    import msgspec

    from gates.controller.monthly import markdown

    match format:
        case "json":
            return msgspec.json.format(msgspec.json.encode(report)).decode() + "\n"
        case "html":
            return _page(markdown(report), report.month)
    return markdown(report)


def _page(text: str, month: str) -> str:
    from markdown_it import MarkdownIt

    title = f"Model rollouts in {month}"
    return PAGE.format(title=title, body=MarkdownIt("commonmark", {"html": False}).enable("table").render(text))
