"""`penstock registry`: keep the registry in order."""

from __future__ import annotations

from typing import Annotated

import typer

from gates.cli.asking import print_json
from gates.cli.gate import Tracking
from gates.cli.options import CONFIG, Config, Json, Model

app = typer.Typer(help="Keep the model registry in order.", rich_markup_mode=None)

Version = Annotated[str, typer.Argument(metavar="VERSION", help="A version number, or an alias such as @champion.")]


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
