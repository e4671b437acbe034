"""`penstock serve` with tokens: its own workers are let in, and of people those who may."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest

from gates.access import Role
from gates.adapters.modelserver import free_port
from gates.adapters.tokens import hash_of, make
from gates.client import ControlClient
from gates.exits import Exit
from tests.endtoend.penstock import MODEL, Penstock, configuration
from tests.ports import claimed_port
from tests.servers import START_PATIENCE, eventually

pytestmark = pytest.mark.timeout(900)  # each command is an interpreter of its own


def tokens() -> dict[Role, str]:
    return {role: make() for role in Role}


def with_access(settings: dict[str, object], known: Mapping[Role, str]) -> dict[str, object]:
    bearers = [{"name": f"{role} 1", "role": role.value, "hash": hash_of(token)} for role, token in known.items()]
    return settings | {"access": {"tokens": bearers}}


def penstock(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gates", *arguments]
    everything = {**os.environ, **environment}
    return subprocess.run(command, env=everything, capture_output=True, text=True, timeout=START_PATIENCE)


def test_workers_are_let_in_and_people_by_their_roles(tmp_path: Path) -> None:
    known = tokens()
    servers = {"40": "http://127.0.0.1:9", "42": "http://127.0.0.1:9"}
    settings = with_access(configuration(tmp_path / "p.db", servers, champion="40"), known)
    with Penstock(tmp_path, settings, workers=1) as running:  # its worker has a snapshot
        there = {"PENSTOCK_CONTROL": running.control_url}
        start = ("start", MODEL, "--candidate", "42", "--by", "ada")
        nobody = penstock(*start, **there)
        assert nobody.returncode == Exit.REFUSED
        assert "PENSTOCK_TOKEN or --token-file" in nobody.stderr
        viewer = penstock(*start, **there, PENSTOCK_TOKEN=known[Role.VIEWER])
        assert viewer.returncode == Exit.REFUSED
        assert "viewer 1 (viewer) may not POST" in viewer.stderr
        file = tmp_path / "token"
        file.write_text(known[Role.RELEASE_MANAGER] + "\n")
        manager = penstock(*start, "--token-file", str(file), **there)
        assert (manager.returncode, manager.stderr) == (0, "")
        with ControlClient(running.control_url, token=known[Role.VIEWER]) as client:
            eventually(lambda: set(client.status().workers.values()) == {client.status().generation})
            assert client.events(MODEL)[0].by == "release_manager 1 (for ada)"
        apart(running, known[Role.SERVICE_ACCOUNT], tmp_path)
    for where in (running.log.read_text(), (tmp_path / "p.db").read_bytes().decode("latin-1")):
        assert not [role for role, token in known.items() if token in where], "a token is nowhere to be found"


def apart(running: Penstock, token: str, folder: Path) -> None:
    """A proxy elsewhere shows a token of its own."""
    port = claimed_port()
    command = [sys.executable, "-m", "gates", "proxy", "--control", running.control_url]
    command += ["--listen", f"127.0.0.1:{port}", "--cache", str(folder / "apart.json")]
    process = subprocess.Popen(command, env={**os.environ, "PENSTOCK_TOKEN": token})
    try:
        eventually(lambda: ready(f"http://127.0.0.1:{port}"), START_PATIENCE)
    finally:
        process.terminate()
        process.wait(START_PATIENCE)


def ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/-/ready", timeout=START_PATIENCE, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.mark.parametrize("command", ["serve", "control"])
def test_a_port_that_others_reach_needs_tokens(tmp_path: Path, command: str) -> None:
    file = tmp_path / "penstock.yaml"
    everywhere = free_port()  # no claimed one, which is taken at one of these addresses
    file.write_text(f"listen: 127.0.0.1:{claimed_port()}\ncontrol: 0.0.0.0:{everywhere}\nmodels: {{}}\n")
    refused = penstock(command, "--config", str(file))
    assert refused.returncode == Exit.CONFIGURATION
    assert refused.stderr.startswith(f"{file}:")
    assert "penstock token new" in refused.stderr


def test_a_new_token_and_its_hash() -> None:
    made = penstock("token", "new", "--name", "ada", "--role", "operator")
    token = made.stdout.strip()
    assert f'{{name: ada, role: operator, hash: "{hash_of(token)}"}}' in made.stderr
    command = [sys.executable, "-m", "gates", "token", "hash"]
    hashed = subprocess.run(command, input=made.stdout, capture_output=True, text=True, timeout=START_PATIENCE)
    assert hashed.stdout.strip() == hash_of(token)
    assert penstock("token", "new", "--role", "king").returncode == Exit.USAGE
