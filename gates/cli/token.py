"""`penstock token`: tokens for the control port, and their hashes for the configuration."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gates.cli.asking import print_json
from gates.cli.options import Json
from gates.exits import Exit, Failure

app = typer.Typer(help="Make tokens for the control port.", rich_markup_mode=None)


@app.command()
def new(
    name: Annotated[str, typer.Option(metavar="NAME", help="Whose it is to be.")] = "NAME",
    role: Annotated[str, typer.Option(metavar="ROLE", help="What it is to allow.")] = "viewer",
    json: Json = False,
) -> None:
    """Make a token: the token goes to standard output, what the configuration keeps of it to standard error.

    \b
      penstock token new --name ada --role release_manager > ada.token
    """
    from gates.access import Role
    from gates.adapters.tokens import hash_of, make

    if role not in set(Role):
        raise Failure(f"--role: there is no role {role!r}; there are: {', '.join(Role)}", Exit.USAGE)
    token = make()
    if json:
        print_json({"token": token, "entry": {"name": name, "role": role, "hash": hash_of(token)}})
        return
    print(token)
    sys.stdout.flush()
    entry = f"- {{name: {name}, role: {role}, hash: {hash_of(token)!r}}}".replace("'", '"')
    print(f"It is shown this once. For the configuration, under access.tokens:\n  {entry}", file=sys.stderr)


@app.command("hash")
def hash_(json: Json = False) -> None:
    """Print the hash of a token that is read from standard input.

    \b
      penstock token hash < ada.token
    """
    from gates.adapters.tokens import TokenUnusable, hash_of

    try:
        found = hash_of(sys.stdin.read().strip())
    except TokenUnusable as error:
        raise Failure(str(error), Exit.USAGE) from None
    if json:
        print_json({"hash": found})
    else:
        print(found)
