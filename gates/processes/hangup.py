"""What SIGHUP means: read the configuration again; but to a process whose terminal was closed, the end."""

from __future__ import annotations

import os


class Terminal:
    """The terminal that this process was started from, if any."""

    def __init__(self) -> None:
        self._there_at_first = _reachable()

    @property
    def closed(self) -> bool:
        """Whether it was there, and is no more: nobody is left to press Ctrl-C."""
        return self._there_at_first and not _reachable()


def _reachable() -> bool:
    """A controlling terminal that is gone, or was never there, cannot be opened (ENXIO, see tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
