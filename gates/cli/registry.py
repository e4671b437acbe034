"""`penstock registry`: keep the registry in order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from typing import Annotated

import typer

from gates.cli.asking import print_json
from gates.cli.bundles import bundled
from gates.cli.options import CONFIG, Config, Json, Model, Telling, Tracking
from gates.exits import Exit, Failure

app = typer.Typer(help="Keep the model registry in order.", rich_markup_mode=None)

Version = Annotated[str, typer.Argument(metavar="VERSION", help="A version number, or an alias such as @champion.")]


def register(top: typer.Typer) -> None:
    top.command()(deprecate)


@app.command()
def seal(
    model: Model, version: Version, json: Json = False, config: Config = CONFIG, tracking_uri: Tracking = None
) -> None:
    """Note the checksum of a version's files down, in its tag artifact_sha256.

    Best done where the version is registered. The gate `checksums` tells later whether the files are still the same.

    \b
      penstock registry seal fraud_detector 42
    """
    from gates.cli import checking

    versions = checking.registry(config, tracking_uri)
    with checking.asking():
        found = versions.resolve(model, version)
        sealed = versions.seal(model, found)
    if json:
        print_json({"model": model, "version": found, "artifact_sha256": sealed})
    else:
        print(f"{model} {found}: {sealed}")


@app.command()
@bundled
def lint(
    *,
    config: Config = CONFIG,
    tracking_uri: Tracking = None,
    telling: Telling,
) -> Exit:
    """Look through all models for what will hurt later.

    Names with versions, dates or states in them; aliases that point at deprecated versions; champions without the
    standard tags; models that nobody described.

    \b
      penstock registry lint --strict --format markdown
    """
    from gates.cli import checking
    from gates.promotion.lint import lint as look
    from gates.promotion.report import Report, StageReport

    keeper = checking.housekeeping(config, tracking_uri)
    with checking.asking():
        found = [
            result
            for state in keeper.models()
            for result in look(state.name, state.description, state.champion, state.tags, state.sunset_aliases)
        ]
    report = Report.of("registry", "", "", time.time(), [StageReport.of("offline", found)])
    return checking.conclude(report, telling)


@app.command()
def migrate(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The model's name now.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="A product's name, without version or date.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    json: Json = False,
    config: Config = CONFIG,
    tracking_uri: Tracking = None,
) -> None:
    """Register a model's versions under a new name.

    Tags, descriptions and aliases go along; nothing is deleted, and the old versions say where they went. Traffic does
    not move by it: serve the new name beside the old one, shadow it, then deprecate the old one.

    \b
      penstock registry migrate fraud_detector_v2 fraud_detector --dry-run
    """
    from gates.cli import checking
    from gates.promotion.names import wrong_with

    if problems := wrong_with(new):
        raise Failure(f"{new} is no product's name: {'; '.join(problems)}", Exit.REFUSED)
    keeper = checking.housekeeping(config, tracking_uri)
    with checking.asking():
        moves = [(move, "") for move in keeper.moves(old)] if dry_run else list(keeper.migrate(old, new))
    if json:
        print_json([{"from": move.version, "to": number, "aliases": move.aliases} for move, number in moves])
        return
    for move, number in moves:
        became = f"is {new} {number}" if number else f"would become a version of {new}"
        print(f"{old} {move.version} {became}{_with(move.aliases)}")
    if dry_run:
        print(f"would tag {old}: migrated_to {new}; nothing was changed")
        return
    print(f"next: serve {new} beside {old}, shadow it, move traffic, then: penstock deprecate {old} VERSION")


def deprecate(
    model: Model,
    version: Version,
    sunset: Annotated[str, typer.Option(metavar="DATE", help="From when on nobody may rely on it: 2026-12-31.")],
    replacement: Annotated[str, typer.Option(metavar="VERSION", help="What to use in its place.")] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why.")] = "",
    json: Json = False,
    config: Config = CONFIG,
    tracking_uri: Tracking = None,
) -> None:
    """Tell everybody that a version is on its way out.

    Tags deprecated, sunset_on and replacement_version, and a word in its description. The champion cannot be
    deprecated.

    \b
      penstock deprecate fraud_detector 40 --sunset 2026-12-31 --replacement 42
    """
    from gates.cli import checking

    try:
        date.fromisoformat(sunset)
    except ValueError:
        raise Failure(f"--sunset {sunset}: expected a date, such as 2026-12-31", Exit.USAGE) from None
    with checking.asking():
        found = checking.registry(config, tracking_uri).resolve(model, version)
        checking.housekeeping(config, tracking_uri).deprecate(model, found, sunset, replacement, reason)
    if json:
        print_json({"model": model, "version": found, "sunset_on": sunset, "replacement_version": replacement})
    else:
        print(f"{model} {found}: deprecated, sunset {sunset}")


def _with(aliases: Sequence[str]) -> str:
    return f", with {', '.join('@' + alias for alias in aliases)}" if aliases else ""
