"""The options that several commands share."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


def login() -> str:
    """Who is at the keyboard, for the audit trail; a container may not know its user's name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


Control = Annotated[str, typer.Option(metavar="URL", envvar="PENSTOCK_CONTROL", help="Where the control plane is.")]
CONTROL = "http://127.0.0.1:9080"

Config = Annotated[
    Path, typer.Option(metavar="FILE", envvar="PENSTOCK_CONFIG", help="The configuration.", show_default=True)
]
CONFIG = Path("config/penstock.yaml")


def known_models(context: typer.Context, incomplete: str) -> list[str]:
    """The models that a running control plane has, for the shell to complete; none where it does not answer at once."""
    from gates.cli.asking import client_of
    from gates.exits import Failure

    try:
        with client_of(context.params.get("control") or CONTROL, timeout=1.0) as client:
            return [model.model for model in client.status().models if model.model.startswith(incomplete)]
    except Failure:
        return []


Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="The model's name, as the configuration has it.", autocompletion=known_models),
]
ModelOrAll = Annotated[
    str | None, typer.Argument(metavar="MODEL", show_default="all of them", autocompletion=known_models)
]
By = Annotated[
    str,
    typer.Option(metavar="NAME", default_factory=login, show_default="your login", help="Who asks, for the record."),
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, for the record.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Tracking = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URL",
        envvar="MLFLOW_TRACKING_URI",
        show_default="the configuration's",
        help="The MLflow server or store.",
    ),
]


@dataclass(frozen=True, slots=True)
class Telling:
    """How the verdict is told."""

    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 on WARNING and 2 on NO-GO; without it, 0.")] = False
    format: Annotated[str, typer.Option(metavar="FORMAT", help="What to print: text, json, markdown or junit.")] = (
        "text"
    )
    json: Json = False
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the report, too; .json, .md, .xml (JUnit) or .txt tells the format."),
    ] = None

    @property
    def printed(self) -> str:
        """The format; `--json` is the short way to that one."""
        return "json" if self.json else self.format
