"""What the commands that ask a control plane have in common."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from gates.exits import Exit, Failure

if TYPE_CHECKING:
    from gates.client import ControlClient

TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="Your token; else it is PENSTOCK_TOKEN.", show_default=False),
]
_TOKEN_FILE: ContextVar[Path | None] = ContextVar("token_file", default=None)


def asking(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with one option more, --token-file, which `client_of` reads."""

    @functools.wraps(command)
    def asked(*args: Any, token_file: Path | None = None, **kwargs: Any) -> Any:
        _TOKEN_FILE.set(token_file)
        return command(*args, **kwargs)

    option = inspect.Parameter("token_file", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=TokenFile)
    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    parameters = [each.replace(annotation=hints[name]) for name, each in signature.parameters.items()]
    asked.__signature__ = signature.replace(parameters=[*parameters, option])  # type: ignore[attr-defined]
    asked.__annotations__ = {**hints, "token_file": TokenFile}
    return asked


def client_of(control: str, timeout: float | None = None) -> ControlClient:
    """Raises Failure where the token cannot be read."""
    from gates.client import TIMEOUT_SECONDS, ControlClient

    return ControlClient(control, timeout or TIMEOUT_SECONDS, _token())


def _token() -> str:
    file = _TOKEN_FILE.get()
    if file is None:
        return os.environ.get("PENSTOCK_TOKEN", "")
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise Failure(f"--token-file: {file} cannot be read: {why}", Exit.USAGE) from None


def print_json(value: object) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")
