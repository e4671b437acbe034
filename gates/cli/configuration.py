"""`penstock config`: what the configuration may hold, and whether it is sound."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.asking import print_json
from gates.cli.options import CONFIG, Json
from gates.exits import Exit, Failure

if TYPE_CHECKING:
    from gates.settings import ModelSettings, Settings

app = typer.Typer(help="Begin a configuration, check it, or print its schema.", rich_markup_mode=None)


def load(path: Path) -> Settings:
    """Raises Failure with a line for each problem."""
    from gates import settings

    try:
        return settings.load(path)
    except settings.SettingsError as error:
        raise Failure(str(error), Exit.CONFIGURATION) from None


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="It is made where it is not there.")] = CONFIG.parent,
    json: Json = False,
) -> None:
    """Write a configuration to begin with: every key, commented, the gate files, and their schemas for your editor.

    A file that is there is never written over: then nothing is written at all.

    \b
      penstock config init config
    """
    from gates.shipped import configuration

    files = {folder / path: content for path, content in configuration().items()}
    if there := [str(file) for file in files if file.exists()]:
        raise Failure(f"{', '.join(there)} would be written over: name another folder", Exit.REFUSED)
    try:
        for file, content in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as error:
        raise Failure(f"{folder}: {error.strerror}", Exit.UNAVAILABLE) from None
    begun = folder / CONFIG.name
    if json:
        print_json({"configuration": str(begun), "files": [str(file) for file in files]})
        return
    print(f"wrote {begun}: name your servers there, then check it: penstock config validate {begun}")


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", envvar="PENSTOCK_CONFIG", show_default=True)] = CONFIG,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001, metavar="N", show_default="none: no times are told", help="Clients' requests a second."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check a configuration and all that it includes. Nothing is started, and nothing is asked over the network.

    Gates that the plan's percentages can never decide are named, with --rate also those that would take over a week;
    and the requests that the slowest gate needs at the least. So are those that wait for Prometheus, labels or people.

    \b
    Each problem is told with its file, line and key:
      penstock config validate config/penstock.yaml --rate 20
    """
    try:
        settings = load(file)
    except Failure as failure:
        if json:
            print_json({"file": str(file), "sound": False, "problems": str(failure).splitlines(), "models": {}})
        raise
    outlooks = {model.name: list(_outlook(model, rate)) for model in settings.models}
    if json:
        print_json({"file": str(file), "sound": True, "problems": [], "models": outlooks})
        return
    print(f"{file}: sound; models: {', '.join(outlooks) or 'none'}")
    for name, lines in outlooks.items():
        for line in lines:
            print(f"{name}: {line}")


def _outlook(model: ModelSettings, rate: float | None) -> Iterator[str]:
    from gates.outlook import slowest, warnings

    trial = (model.plan, model.gates, model.budget, model.shadow.share_bp)
    yield from warnings(*trial, rate)
    if (most := slowest(*trial)) is not None:
        where, requests = most
        time = f", {requests / rate:,.0f} s at {rate:g} a second" if rate else ""
        yield f"slowest is {where}: at least {requests:,} requests of clients{time}"
    for scope, stage in (("all", "every stage"), ("shadow", "the shadow"), ("bake", "the bake")):
        names = [
            one.gate.name
            for one in model.promotion.under_way
            if one.gate.holds == scope and one.gate.severity == "critical"
        ]
        if names:
            yield f"{stage} waits for what is not seen in its traffic: {', '.join(names)}"


@app.command()
def schema(
    promotion: Annotated[
        bool, typer.Option("--promotion", help="That of a promotion file, such as gates/promotion.yaml.")
    ] = False,
) -> None:
    """Print its JSON Schema, which editors check and complete by.

    \b
      penstock config schema > config/penstock.schema.json
      penstock config schema --promotion > config/gates/promotion.schema.json
    """
    from gates.settings import configuration

    print(json.dumps(configuration.promotion_schema() if promotion else configuration.schema(), indent=2))
