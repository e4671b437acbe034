"""Chromium over its debugging pipe, with no more of the protocol enabled than is asked for.

What drives browsers for tests has the browser keep each body that a page receives, to show it to whoever asks: a page
that is fed for an hour would seem to grow by all that it was fed."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import subprocess
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from tests.browser import FLAGS

CLEAR = 10
"""The lowest number for our ends of the pipes: the browser's are 3 and 4."""


class Chromium:
    """One browser with one page, from entry to exit; what is sent is answered before anything else is."""

    def __init__(self, program: str) -> None:
        self._folder = TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self._out = (_high(end) for end in os.pipe())
        self._in, theirs_out = (_high(end) for end in os.pipe())

        def arrange() -> None:
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        command = [program, *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={self._folder.name}", "about:blank"]
        self._process = subprocess.Popen(
            command,
            pass_fds=(3, 4),
            preexec_fn=arrange,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": self._folder.name},  # it leaves what it makes there
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._numbers = itertools.count(1)
        self._received = b""
        self._session = ""

    def __enter__(self) -> Self:
        page = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(30)
        os.close(self._in)
        os.close(self._out)
        self._folder.cleanup()

    def tell_page(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._exchange({"method": method, "params": parameters, "sessionId": self._session})

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser as a whole."""
        return self._exchange({"method": method, "params": parameters})

    def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        os.write(self._out, json.dumps({"id": number, **message}).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            """An event, which nobody waits for."""
        if "error" in answer:
            raise RuntimeError(f"{message['method']}: {answer['error']}")
        return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            part = os.read(self._in, 65_536)
            if not part:
                raise RuntimeError("the browser has ended")
            self._received += part
        raw, _, self._received = self._received.partition(b"\0")
        return dict(json.loads(raw))


def _high(end: int) -> int:
    moved = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, CLEAR)
    os.close(end)
    return moved
