"""What a command of ours tells its caller by its exit status, and the error that carries it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum


class Exit(IntEnum):
    """0 to 2 are verdicts: what kept a command from its end is never read as a good model, nor as a bad one."""

    GO = 0
    WARNING = 1
    NO_GO = 2
    CONFIGURATION = 3
    """A file, or a setting in it, is wrong."""
    UNAVAILABLE = 4
    """Something that is needed is not there: the control plane, a port, a process that stays up."""
    REFUSED = 5
    """The control plane understood and said no: an unknown model, a step that the phase does not allow."""
    BROKEN = 6
    """What is on record does not hold: a row was changed, or a decision is not the one that its inputs lead to."""
    USAGE = 64
    BUG = 70
    INTERRUPTED = 130


class Failure(Exception):
    """What kept a command from its end; the text is the cause and its remedy, in a line (of each problem)."""

    def __init__(self, text: str, exit: Exit) -> None:
        super().__init__(text)
        self.exit = exit


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """What is said to a name that nothing has: what would be right."""
    names = sorted(known)
    close = get_close_matches(name[:64], names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"there is no {kind} {name!r}; there are: {', '.join(names) or 'none'}{hint}"
