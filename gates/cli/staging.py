"""Staging: a server of the version, started here or elsewhere, put under load and measured."""

from __future__ import annotations

import re
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from gates.adapters.load import Load, LoadError, ResourceWatch, run
from gates.adapters.modelserver import ModelServer, ModelServerError, time_loading
from gates.cli.checking import Check, asking, progress
from gates.exits import Exit, Failure
from gates.promotion.staging import Measurements

READY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Server:
    """Where it runs already, or how often it is started here; and the log in which its requests should stand."""

    url: str | None
    starts: int
    log: Path | None


def measure(check: Check, candidate: str, server: Server, load: Load, payload: Path | None) -> tuple[str, Measurements]:
    """The version that was measured, and what was seen. Raises Failure where nothing could be."""
    version = candidate
    with ExitStack() as folders:
        folder = Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="penstock-staging-")))
        if check.mlflow is not None and (server.url is None or payload is None or candidate.startswith("@")):
            with asking():
                version = check.versions().resolve(check.model, candidate)
        body = payload or _example(check, version, folder)
        try:
            if server.url is not None:
                return version, _loaded(load, server.url, body, server.log)
            return version, _served(check, version, server, load, body, folder / "server.log")
        except (LoadError, ModelServerError) as error:
            raise Failure(str(error), Exit.UNAVAILABLE) from None


def _served(check: Check, version: str, server: Server, load: Load, body: Path, log: Path) -> Measurements:
    """By a server of our own, which is gone when this ends."""
    check.versions()  # a registry has to be named
    assert check.mlflow is not None
    made = ModelServer(check.model, version, tracking_uri=check.mlflow.tracking_uri, log=log, access_log=True)
    for start in range(1, server.starts):
        progress(f"starting {made} ({start} of {server.starts}, for warm caches)")
        with made:
            made.wait_ready(READY_SECONDS)
    progress(f"starting {made} ({server.starts} of {server.starts})")
    with made:
        cold_start = made.wait_ready(READY_SECONDS)
        with ResourceWatch(made.pid) as taken:
            seen = _loaded(load, made.url, body, log)
    progress(f"loading version {version} of {check.model} by itself")
    loading = time_loading(check.model, version, tracking_uri=check.mlflow.tracking_uri, timeout=READY_SECONDS)
    return replace(seen, memory=taken.memory, cpu=taken.cpu, cold_start=cold_start, loading=loading)


def _loaded(load: Load, url: str, body: Path, log: Path | None) -> Measurements:
    before = _logged(log, load.path)
    progress(f"loading {url} for {load.seconds:g} s: {load.users} users, {load.shape}")
    seen = run(load, url, body)
    if log is None or not seen.requests:
        return seen
    return replace(seen, logging=min((_logged(log, load.path) - before) / seen.requests, 1.0))


def _logged(log: Path | None, path: str) -> int:
    """The lines of the log that tell of a request, as uvicorn and nginx write them: "POST /invocations HTTP/1.1"."""
    if log is None or not log.exists():
        return 0
    return len(re.findall(rf"POST {re.escape(path)}[ ?]", log.read_text(errors="replace")))


def _example(check: Check, version: str, folder: Path) -> Path:
    """The model's input example as a file. Raises Failure where there is none."""
    with asking():
        body = check.versions().example(check.model, version)
    if body is None:
        cause = f"version {version} of {check.model} was logged without an input example"
        raise Failure(f"{cause}: name a body with --payload FILE", Exit.REFUSED)
    file = folder / "payload.json"
    file.write_bytes(body)
    return file
