"""The main job, end to end: `penstock demo` on real models, a real registry and real model servers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gates.adapters.mlflowstore import connect
from gates.demo.scene import MODEL, tracking_uri


@pytest.mark.timeout(400)
def test_the_demo_promotes_the_good_candidate_and_rolls_the_bad_one_back(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gates", "demo", "--directory", "here", "--summary", "summary.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=390, check=False)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]

    told = json.loads((tmp_path / "summary.json").read_text())
    assert told["client_requests"] >= 2_000
    assert told["client_failures"] == 0
    assert told["good"]["phase"] == "promoted"
    assert 0 < told["good"]["candidate_requests_served_to_clients"] <= told["answers_by_version"]["2"]
    assert told["bad"]["phase"] == "rolled_back"
    assert told["bad"]["gate"] == "agreement"
    assert told["bad"]["candidate_requests_served_to_clients"] == 0
    assert "3" not in told["answers_by_version"], "no client ever saw the defective version"

    client = connect(tracking_uri(tmp_path / "here"))
    aliases = {alias: str(version) for alias, version in client.get_registered_model(MODEL).aliases.items()}
    assert aliases == {"champion": "2"}
    assert client.get_model_version(MODEL, "2").tags["previous_champion"] == "1"
    assert client.get_model_version(MODEL, "2").tags["stage"] == "Production"
    assert client.get_model_version(MODEL, "1").tags["stage"] == "Archived"
    assert client.get_model_version(MODEL, "3").tags["rollback_reason"].startswith("gate agreement")
