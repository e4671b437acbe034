"""Rules of values: one that breaks a rule cannot be constructed."""

from __future__ import annotations

import re

_HOST = re.compile(r"[A-Za-z0-9._:-]+").fullmatch


def require(condition: bool, message: str) -> None:
    """Raises ValueError with the message where the condition does not hold."""
    if not condition:
        raise ValueError(message)


def is_host(text: str) -> bool:
    """Whether a text can be a host's name or an address, IPv6 without brackets."""
    return _HOST(text) is not None


def is_printable(name: str) -> bool:
    """Whether a name can stand in an `x-penstock-*` field."""
    return bool(name) and name.isprintable()
