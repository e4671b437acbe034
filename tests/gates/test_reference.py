"""docs/reference.md is what the code says; `make docs` writes it anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import typer

from gates.access import MATRIX, Role
from gates.adapters.tokens import WORKERS
from gates.cli import app
from gates.exits import Exit

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"
EXITS = {
    Exit.GO: "done, or the verdict GO",
    Exit.WARNING: "verdict WARNING",
    Exit.NO_GO: "verdict NO-GO",
    Exit.CONFIGURATION: "the configuration, or another file, is wrong",
    Exit.UNAVAILABLE: "something needed is not there",
    Exit.REFUSED: "refused: understood, and not possible or not allowed",
    Exit.BROKEN: "the record does not hold",
    Exit.USAGE: "wrong usage",
    Exit.BUG: "a bug of ours",
    Exit.INTERRUPTED: "interrupted",
}
VARIABLES = {
    "PENSTOCK_CONFIG": "the configuration, in place of `--config`",
    "PENSTOCK_CONTROL": "the control plane's URL, in place of `--control`",
    "PENSTOCK_TOKEN": "the token that the control plane is shown, in place of `--token-file`",
    WORKERS: "the token that workers and their control plane share; `penstock serve` makes one at each start",
    "PENSTOCK_LOG": "`console` or `json`",
    "PENSTOCK_LOG_LEVEL": "`debug`, `info`, `warning` or `error`",
}


def page() -> str:
    return "\n".join(
        [
            "# Reference\n",
            "Written from the code by `make docs`. The keys of the configuration stand in",
            "[../config/penstock.schema.json](../config/penstock.schema.json), the metrics in",
            "[metrics.md](metrics.md), and the API in `GET /api/openapi.json`.\n",
            "## Commands\n",
            "| command | what it does |",
            "|---|---|",
            *_commands(),
            "\n`penstock COMMAND --help` tells the rest.\n",
            "## Exit statuses\n",
            "| status | meaning |",
            "|---|---|",
            *(f"| {status.value} | {meaning} |" for status, meaning in EXITS.items()),
            "\n## Environment\n",
            "| variable | what it holds |",
            "|---|---|",
            *(f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items()),
            "\n## Routes by roles\n",
            "Without tokens configured, whoever reaches the port may call every route: this machine alone.\n",
            f"| route | {' | '.join(role.replace('_', ' ') for role in Role)} |",
            f"|---|{'---|' * len(Role)}",
            *_routes(),
            "",
        ]
    )


def _commands() -> Iterator[str]:
    yield from _of(typer.main.get_command(app), "penstock")


def _of(command: object, name: str) -> Iterator[str]:
    for word, below in sorted(getattr(command, "commands", {}).items()):
        if getattr(below, "commands", None):
            yield from _of(below, f"{name} {word}")
        elif not getattr(below, "hidden", False):
            first = re.split(r"\n\s*\n|\.\s", (below.help or "").strip())[0].replace("\n", " ").rstrip(".")
            yield f"| `{name} {word}` | {first} |"


def _routes() -> Iterator[str]:
    for route, roles in MATRIX.items():
        marks = ("everybody",) + ("",) * (len(Role) - 1) if roles is None else ("✔" if r in roles else "" for r in Role)
        yield f"| `{route}` | {' | '.join(marks)} |"


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_every_exit_status_is_told() -> None:
    assert EXITS.keys() == set(Exit)


def write() -> None:
    PAGE.write_text(page())
