"""`penstock config`: what the configuration may hold, and whether it is sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.options import CONFIG
from gates.exits import Exit, Failure

if TYPE_CHECKING:
    from gates.settings import Settings

app = typer.Typer(help="Check the configuration, or print its schema.", rich_markup_mode=None)


def load(path: Path) -> Settings:
    """Raises Failure with a line for each problem."""
    from gates import settings

    try:
        return settings.load(path)
    except settings.SettingsError as error:
        raise Failure(str(error), Exit.CONFIGURATION) from None


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", envvar="PENSTOCK_CONFIG", show_default=True)] = CONFIG,
) -> None:
    """Check a configuration and all that it includes. Nothing is started, and nothing is asked over the network.

    \b
    Each problem is told with its file, line and key:
      penstock config validate config/penstock.yaml
    """
    settings = load(file)
    names = ", ".join(model.name for model in settings.models) or "none"
    print(f"{file}: sound; models: {names}")


@app.command()
def schema() -> None:
    """Print its JSON Schema, which editors check and complete by.

    \b
      penstock config schema > config/penstock.schema.json
    """
    from gates.settings import configuration

    print(json.dumps(configuration.schema(), indent=2))
