"""The model servers behind the proxies: nginx with a fixed answer, so that they are never what is measured, and
candidates with something wrong."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from loadtests.bench import nginx
from loadtests.bench.processes import Request, free_port, refusing_port, running, wait_for_answer

Health = Literal["healthy", "slow", "hanging", "refusing", "resetting"]

SLOW_SECONDS = 0.5
_STATUS = "/-/status"
# An answer of this size can stand in nginx's configuration, and a request comes with its head in one piece.
_INLINE = 2000


def model_server(folder: Path, port: int, answer: bytes) -> str:
    """The configuration of an nginx that answers every POST with `answer`, after reading the whole request.

    nginx answers at once, unread body or not, where it is told to `return`. With a large body that would be an answer
    in the middle of the request, which no model server gives and which costs some proxies their connection. The mirror
    module reads the body first, and the answer follows as the page of an error that any POST makes here."""
    if len(answer) <= _INLINE:
        serve = f"location / {{ return 200 '{answer.decode()}'; }}"
    else:
        (folder / "answer.json").write_bytes(answer)
        serve = f"""\
root {folder};
        open_file_cache max=16;
        open_file_cache_errors on;
        sendfile on;
        location / {{ mirror /-/read; error_page 404 =200 /answer.json; }}
        location = /-/read {{ return 204; }}
        location = /answer.json {{ }}"""
    return nginx.settings(
        folder,
        f"""\
    types {{ }}
    default_type application/json;
    server {{
        {nginx.LISTEN.format(port=port)}
        location = {_STATUS} {{ stub_status; }}
        {serve}
    }}""",
    )


@contextmanager
def serving(folder: Path, answer: bytes) -> Iterator[int]:
    """A healthy model server; gives its port."""
    folder.mkdir()
    port = free_port()
    with running(nginx.command(folder, model_server(folder, port, answer)), folder / "log") as process:
        wait_for_answer(port, Request("POST", "/invocations", b"{}"), answer, process)
        yield port


@contextmanager
def ailing(folder: Path, health: Health, answer: bytes) -> Iterator[int]:
    """A candidate that is `slow`, `hanging`, `refusing` or `resetting`; gives its port."""
    if health == "refusing":
        with refusing_port() as port:
            yield port
        return
    folder.mkdir()
    port, file = free_port(), folder / "answer.json"
    file.write_bytes(answer)
    command = [sys.executable, "-m", "loadtests.bench.faults", health, str(port), str(file)]
    with running(command, folder / "log") as process:
        wait_for_answer(port, Request("GET", "/-/live"), b"live", process)
        yield port


def requests_seen(port: int) -> int:
    """How many requests a healthy model server has had, without this one and those before it that asked the same."""
    page = Request("GET", _STATUS).send(port)[1].decode()
    found = re.search(r"^\s*\d+ \d+ (\d+)\s*$", page, re.MULTILINE)
    assert found is not None, page
    return int(found[1])
