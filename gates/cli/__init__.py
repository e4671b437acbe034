"""The command `penstock`. Each command imports what it needs when it is called, so that `penstock proxy` needs nothing
but the data plane."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from gates.cli import (
    alerts,
    audit,
    configuration,
    disagreements,
    gate,
    logs,
    processes,
    registry,
    reload,
    replay,
    report,
    rollouts,
    token,
)
from gates.exits import Exit, Failure

EPILOG = """\
\b
Exit status: 0 done, or the verdict GO     1 verdict WARNING   2 verdict NO-GO
             3 configuration is wrong      4 something needed is not there
             5 refused                     6 the record does not hold
            64 wrong usage                70 a bug of ours
"""

app = typer.Typer(
    name="penstock",
    epilog=EPILOG,
    rich_markup_mode=None,  # plain help: it is there at once, and the same in a file
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
processes.register(app)
rollouts.register(app)
logs.register(app)
disagreements.register(app)
reload.register(app)
replay.register(app)
report.register(app)
registry.register(app)
app.add_typer(configuration.app, name="config")
app.add_typer(audit.app, name="audit")
app.add_typer(token.app, name="token")
app.add_typer(alerts.app, name="alerts")
app.add_typer(gate.app, name="gate")
app.add_typer(registry.app, name="registry")


def _print_version(wanted: bool) -> None:
    if wanted:
        import proxy

        print(f"penstock {proxy.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def penstock(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """Put a candidate model behind your champion: shadow it, ramp it, and let live gates decide.

    \b
    Begin with:
      penstock demo                                   all of it on this machine, in two minutes
      penstock serve --config config/penstock.yaml    the proxy and its control plane
      penstock status --watch                         what is going on
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status. Whatever keeps it from its end becomes a line on standard error."""
    command = typer.main.get_command(app)
    try:
        return int(command.main(list(arguments), prog_name="penstock", standalone_mode=False) or Exit.GO)
    except Failure as failure:
        return _end(failure.exit, str(failure))
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        called = context.command_path if context else "penstock"
        told = error.format_message().rstrip(".")
        return _end(Exit.USAGE, f"{told}{' See' if told.endswith('?') else ': see'} `{called} --help`")
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except SystemExit as ended:  # typer's, where whoever read our output has gone
        return Exit.UNAVAILABLE if ended.code else Exit.GO
    except Exception:
        import traceback

        traceback.print_exc()
        return _end(Exit.BUG, "this is a bug: please report it with the lines above")


def _end(status: Exit, text: str) -> int:
    """The problems of a configuration are lines that begin with the file, so that editors find the place."""
    print(text if status is Exit.CONFIGURATION else f"penstock: {text}", file=sys.stderr)
    return status


def main() -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.exit(run(sys.argv[1:]))
