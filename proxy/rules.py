"""Rules of values: one that breaks a rule cannot be constructed."""

from __future__ import annotations

import re

_LABEL = r"[A-Za-z0-9_-]{1,63}"  # RFC 1035 section 2.3.4; what resolves names refuses any other
_HOST = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?|[0-9A-Fa-f.]*:[0-9A-Fa-f.:]+").fullmatch


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
