"""The options that several commands share."""

from __future__ import annotations

import getpass
import os
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

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name, as the configuration has it.")]
By = Annotated[
    str,
    typer.Option(metavar="NAME", default_factory=login, show_default="your login", help="Who asks, for the record."),
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, for the record.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
