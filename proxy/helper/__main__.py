"""`python -m proxy.helper`, started by a worker: pairs come in, what was found goes out, until the worker is gone."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

_NICENESS = 19


def _give_way() -> None:
    """On a core that it shares with its worker, the worker goes first: where the kernel knows of idle processes, in the
    very moment in which it has something to do, and not at the end of our slice of time."""
    os.nice(_NICENESS)
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # a sandbox may know the call, and refuse it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker drains first, and then closes the stream
    _give_way()
    from proxy.helper.looking import look_on  # takes as long as thousands of requests, and so after giving way

    try:
        look_on(sys.stdin.buffer, sys.stdout.buffer)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)  # nobody is left to tell


if __name__ == "__main__":
    main()
