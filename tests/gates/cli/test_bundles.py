from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from gates.cli.bundles import bundled


@dataclass(frozen=True)
class Telling:
    loud: Annotated[bool, typer.Option("--loud")] = False
    times: Annotated[int, typer.Option(min=1)] = 1


app = typer.Typer()


@app.command()
@bundled
def say(*, word: Annotated[str, typer.Option()], telling: Telling, end: str = ".") -> None:
    print((word.upper() if telling.loud else word) * telling.times + end)


def test_a_bundle_is_its_options_with_their_defaults() -> None:
    assert CliRunner().invoke(app, ["--word", "ha"]).output == "ha.\n"
    assert CliRunner().invoke(app, ["--word", "ha", "--loud", "--times", "2", "--end", "!"]).output == "HAHA!\n"


def test_its_options_are_checked_as_any() -> None:
    refused = CliRunner().invoke(app, ["--word", "ha", "--times", "0"])
    assert refused.exit_code == 2
    assert "--times" in refused.output
