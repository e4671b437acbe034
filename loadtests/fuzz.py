"""Requests that nobody thought of, sent to a real control port: `python -m loadtests.fuzz --seconds 600`.

schemathesis makes them from the OpenAPI document, lawful ones and others, and holds every answer against it: no server
error, no status, header or body that the document does not tell of. It comes to the workers' door as a worker, and to
all doors as an admin, while a rollout is under way; then come pushes as no worker ever made them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Annotated

import httpx2
import typer

from gates.adapters.modelserver import free_port
from gates.adapters.tokens import hash_of, make
from loadtests.pushes import bring

MODEL = "fraud_detector"
ENDLESS = "/api/stream"
"""It answers as long as anybody listens."""
WORKERS_DOOR = ("--include-path-regex", "^/link/")
CONTROL = """\
from gates.api import workers
from gates.cli import main
workers.POLL_SECONDS = 0.2
main()
"""
"""A control plane whose long polls are short."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "use_after_free",
    "ignored_auth",
)


def fuzz(seconds: int, folder: Path, examples: int = 100, roles: bool = True) -> int:
    """Fuzz a control plane that is started for it; returns 0 where nothing was found.

    With `roles` it asks for tokens, and is shown a worker's and an admin's."""
    port = free_port()
    tokens = {role: make() if roles else "" for role in ("service_account", "admin")}
    config = folder / "penstock.yaml"
    config.write_text(json.dumps(_configuration(folder, port, tokens)))
    with (folder / "control.log").open("wb") as log:
        command = [sys.executable, "-c", CONTROL, "control", "--config", str(config)]
        control = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}/-/ready", control)
        found = _visit(port, tokens, seconds, examples, folder)
    finally:
        control.terminate()
        control.wait(60)
    if "Traceback" in (said := (folder / "control.log").read_text(errors="replace")):
        print(said[-8000:], file=sys.stderr)
        return 1
    return found


def _visit(port: int, tokens: Mapping[str, str], seconds: int, examples: int, folder: Path) -> int:
    """A third of the time for the workers' door, an eighth for pushes, the rest for all doors."""
    door, pushes = seconds // 3, seconds // 8
    worker = _schemathesis(port, tokens["service_account"], door, examples)
    admin = _schemathesis(port, tokens["admin"], seconds - door - pushes, examples)
    found = subprocess.run([*worker, *WORKERS_DOOR], cwd=folder).returncode
    wrong = bring(f"http://127.0.0.1:{port}", tokens["service_account"], pushes)
    print("\n".join(wrong[:20]))
    return found or bool(wrong) or subprocess.run([*admin, "--exclude-path", ENDLESS], cwd=folder).returncode


def _configuration(folder: Path, port: int, tokens: Mapping[str, str]) -> dict[str, object]:
    servers = {"40": ["http://127.0.0.1:1"], "42": ["http://127.0.0.1:2"]}
    section = {"servers": servers, "champion": "40", "candidate": "42"}
    bearers = [{"name": role, "role": role, "hash": hash_of(token)} for role, token in tokens.items() if token]
    return {
        "control": f"127.0.0.1:{port}",
        "store": f"sqlite:///{folder}/penstock.db",
        "models": {MODEL: section},
        "access": {"tokens": bearers},
    }


def _schemathesis(port: int, token: str, seconds: int, examples: int) -> list[str]:
    command = [str(Path(sys.executable).with_name("st")), "run", f"http://127.0.0.1:{port}/api/openapi.json"]
    command += ["--max-time", str(seconds), "--max-examples", str(examples), "--continue-on-failure"]
    command += ["--checks", ",".join(CHECKS), "--request-timeout", "20", "--no-color", "--warnings", "off"]
    return [*command, *(["--header", f"Authorization: Bearer {token}"] if token else [])]


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + 60
    while monotonic() < deadline:
        assert process.poll() is None, "the control plane has ended"
        try:
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        except httpx2.HTTPError:
            pass
        sleep(0.1)
    raise TimeoutError(url)


def main(
    seconds: Annotated[int, typer.Option(help="How long, at most.")] = 600,
    examples: Annotated[int, typer.Option(help="Of each operation and phase.")] = 10_000,
) -> None:
    """Fuzz the control port of a control plane that is started for it."""
    os.environ.pop("PENSTOCK_TOKEN", None)
    with TemporaryDirectory() as folder:
        sys.exit(fuzz(seconds, Path(folder), examples))


if __name__ == "__main__":
    typer.run(main)
