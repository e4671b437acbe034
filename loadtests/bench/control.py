"""What Penstock's control plane is to a worker, and no more: one snapshot goes out, windows come in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loadtests.bench.processes import HOST
from proxy.push import decode_push
from proxy.snapshot import Snapshot, encode
from proxy.window import Window, merge_all

_HOLD_SECONDS = 20.0


class ControlStandIn(ThreadingHTTPServer):
    """Keeps the last window of every (model, epoch): a worker's windows are cumulative."""

    daemon_threads = True

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__((HOST, 0), _Handler)
        self.snapshot = snapshot
        self.windows: dict[tuple[str, int], Window] = {}
        self.closing = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def seen(self) -> Window:
        """All that the worker has counted, over all models."""
        return merge_all(list(self.windows.values()))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ControlStandIn

    def do_GET(self) -> None:
        """The long poll: the snapshot for a worker that has another, else nothing until the time is up."""
        if not self.path.endswith(f"generation={self.server.snapshot.generation}"):
            self._answer(200, encode(self.server.snapshot))
            return
        self.server.closing.wait(_HOLD_SECONDS)
        with suppress(ConnectionError):  # the worker may be gone by now
            self._answer(204)

    def do_POST(self) -> None:
        push = decode_push(self.rfile.read(int(self.headers["content-length"])))
        self.server.windows.update({(sample.model, sample.epoch): sample.window for sample in push.samples})
        self._answer(204)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if body:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def standing_in(snapshot: Snapshot) -> Iterator[ControlStandIn]:
    """The stand-in, answering in a thread of this process for the length of the block."""
    with ControlStandIn(snapshot) as control:
        thread = threading.Thread(target=control.serve_forever, name="control stand-in")
        thread.start()
        try:
            yield control
        finally:
            control.closing.set()
            control.shutdown()
            thread.join()
