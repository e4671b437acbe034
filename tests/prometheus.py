"""A real Prometheus for the tests: an exporter that the test drives, history made with promtool, and the server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.ports import claimed_port

STEP = 15.0
"""Seconds between two points of history."""
START_SECONDS = 90.0


def require_programs() -> None:
    """Where services are required, a missing program fails; else it skips."""
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if missing:
        assert not os.environ.get("PENSTOCK_REQUIRE_SERVICES"), f"{missing} missing; .ci/run shows how to get them"
        pytest.skip(f"{missing} missing")


class Exporter(AbstractContextManager["Exporter"]):
    """Serves `gauges` as they are, and counters that grow by `growth` with each scrape; both by series."""

    def __init__(self, gauges: Mapping[str, float], growth: Mapping[str, float], counted: Mapping[str, float]) -> None:
        """`counted` is where the counters begin."""
        self.gauges = dict(gauges)
        self.growth = dict(growth)
        self._counted = dict(counted)
        exporter = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exporter._page().encode()
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                with suppress(BrokenPipeError):  # the scrape ran out of time
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.target = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def _page(self) -> str:
        for series, by in self.growth.items():
            self._counted[series] = self._counted.get(series, 0.0) + by
        return "".join(f"{series} {value!r}\n" for series, value in {**self.gauges, **self._counted}.items())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def history(series: Mapping[str, Callable[[float], float]], hours: float, until: float) -> str:
    """OpenMetrics text of each series as a function of the seconds before `until` (wall time), newest last."""
    lines = []
    for name, value in series.items():
        points = int(hours * 3600 / STEP)
        ago = (back * STEP for back in range(points, -1, -1))
        lines += [f"{name} {value(seconds)!r} {until - seconds:.3f}\n" for seconds in ago]
    return "".join(lines) + "# EOF\n"


def labelled(series: str, target: str) -> str:
    """With the labels that a scrape gives it, so that history and present are one series."""
    name, _, labels = series.partition("{")
    inner = f"{labels.rstrip('}')}," if labels else ""
    return f'{name}{{{inner}instance="{target}",job="llm"}}'


class PrometheusServer(AbstractContextManager["PrometheusServer"]):
    """Scrapes the targets three times a second, and starts with a history, if any."""

    def __init__(self, folder: Path, targets: Iterable[str] = (), past: str = "") -> None:
        self.url = f"http://127.0.0.1:{claimed_port()}"
        self._log = folder / "prometheus.log"
        config, data = folder / "prometheus.yml", folder / "data"
        listed = ", ".join(f"'{target}'" for target in targets)
        config.write_text(
            "global: {scrape_interval: 300ms, scrape_timeout: 300ms}\n"
            f"scrape_configs: [{{job_name: llm, static_configs: [{{targets: [{listed}]}}]}}]\n"
        )
        if past:
            (folder / "past.txt").write_text(past)
            tool = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "past.txt"), str(data)]
            subprocess.run(tool, check=True, capture_output=True)
        listen = f"--web.listen-address={self.url.removeprefix('http://')}"
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}", listen]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"}
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            gone = self._process.poll() is not None or time.monotonic() > deadline
            assert not gone, self._log.read_text()
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
