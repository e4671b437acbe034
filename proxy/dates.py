"""The time as HTTP writes it (RFC 9110 section 5.6.7), made anew once a second."""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from time import time


def http_date() -> bytes:
    """Now, such as `Sun, 06 Nov 1994 08:49:37 GMT`."""
    return _written(int(time()))


@lru_cache(2)
def _written(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
