"""A receiver of alerts: a web server that keeps what was posted to it."""

from __future__ import annotations

import json
import threading
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Any, Self

from tests.wire import PATIENCE


@dataclass
class Webhook:
    """Answers with `status`, one after the other, from entry to exit."""

    status: int = 200
    received: list[dict[str, Any]] = field(default_factory=list)
    server: HTTPServer = field(init=False)

    def __post_init__(self) -> None:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status = webhook.status  # whoever sees it received may change what is answered next
                webhook.received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(status)
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Silent."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.server.serve_forever, name="webhook")

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server.server_port}/alerts"

    def forget(self) -> None:
        """All that was received, and what one that died still had on its way: our own request comes behind it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.server_port}/", timeout=PATIENCE):
            self.received.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
