"""`penstock gate live` and `production` on a rollout, as a running control plane has it; and outcomes over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gates.cli import run
from gates.client import ControlClient
from gates.exits import Exit
from tests.endtoend.penstock import MODEL, Penstock, configuration
from tests.servers import Background, ModelServer, Seen, eventually, reply

GATES = """
production:
  shadow_period: {min: 1h}
  sla_violations: {}
  accuracy: {}
  approvals: {reviews: [business]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("control")


@pytest.fixture(scope="module")
def control(background: Background, folder: Path) -> Iterator[str]:
    """A control plane with a rollout of version 42, which is in shadow; Prometheus tells a loss of 1.5."""
    servers = {"40": "http://127.0.0.1:1", "42": "http://127.0.0.1:2"}
    live = {"live": {"loss": {"metric": "prometheus", "query": "loss", "max": 2}}}
    settings = configuration(folder / "penstock.db", servers, champion="40", promotion=live)
    (folder / "gates.yaml").write_text(GATES)
    with ModelServer(background, telling_a_loss) as prometheus:
        settings["prometheus"] = f"http://{prometheus.origin.authority}"
        with Penstock(folder, settings, workers=1) as penstock:
            url = penstock.control_url
            assert run(["start", MODEL, "--candidate", "42", "--control", url]) == Exit.GO
            yield url


async def telling_a_loss(seen: Seen, send: Any) -> None:
    data = {"resultType": "vector", "result": [{"metric": {}, "value": [time.time(), "1.5"]}]}
    await reply(send, json.dumps({"status": "success", "data": data}).encode())


def gate(stage: str, candidate: str, control: str, folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    report = folder / "report.json"
    asked = ["gate", stage, "--model", MODEL, "--candidate", candidate, "--control", control, "--output", str(report)]
    status = run([*asked, "--config", str(folder / "penstock.yaml"), "--strict", *more])
    stages = json.loads(report.read_text())["stages"] if report.exists() else [{"gates": []}]
    return status, {one["gate"]: one for one in stages[0]["gates"]}


def test_prometheus_is_asked_by_the_control_plane_itself(control: str) -> None:
    def said() -> tuple[str, str] | None:
        with ControlClient(control) as client:
            rollout = client.model(MODEL).rollout
        found = [one for one in rollout.gates if one.gate == "loss"] if rollout else []
        return (found[0].verdict, found[0].reason) if found else None

    eventually(lambda: said() == ("PASS", "1.5: at most 2 asked"))


def test_what_a_running_rollout_has_shown_is_judged(control: str, folder: Path, capfd: Any) -> None:
    status, live = gate("live", "42", control, folder)
    assert status == Exit.WARNING
    assert live["error_rate"]["verdict"] == "INSUFFICIENT"
    assert live["error_rate"]["source"].startswith("rollout ")
    assert live["loss"]["source"].startswith("Prometheus at ")
    assert gate("live", "41", control, folder)[0] == Exit.REFUSED
    assert "version 41 is not on trial" in capfd.readouterr().err

    gates = ("--gates", str(folder / "gates.yaml"))
    status, production = gate("production", "42", control, folder, *gates)
    assert status == Exit.WARNING
    assert {name: one["verdict"] for name, one in production.items()} == {
        "shadow_period": "INSUFFICIENT",
        "sla_violations": "PASS",
        "accuracy": "INSUFFICIENT",
        "approvals": "INSUFFICIENT",
    }
    approve = ["approve", MODEL, "--candidate", "42", "--review", "business", "--by", "bo", "--control", control]
    assert run(approve) == Exit.GO
    assert gate("production", "42", control, folder, *gates)[1]["approvals"]["verdict"] == "PASS"
    assert gate("production", "42", "http://127.0.0.1:1", folder, *gates)[0] == Exit.UNAVAILABLE


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"request_id": "a", "time": 1.0, "value": 1}, 200, {"new": 0, "duplicates": 0, "unjoined": {"no_rollout": 1}}),
        ([], 200, {"new": 0, "duplicates": 0, "unjoined": {}}),
        ({"time": 1.0, "value": 1}, 422, "neither request_id nor key"),
        ({"request_id": "a", "time": "yesterday", "value": 1}, 422, "time 'yesterday'"),
        ({"request_id": "a", "time": "2026-11-01T10:00:00", "value": 1}, 422, "no time zone"),
        ({"request_id": "a", "time": 1.0, "value": "fraud"}, 422, "value 'fraud' is no number"),
        ({"request_id": "a", "time": 1.0, "value": 1, "model": "nobody"}, 422, "nobody"),
        ({"request_id": "a", "time": 1.0, "value": 1, "colour": "red"}, 422, "colour"),
    ],
)
def test_outcomes_are_read_strictly(control: str, body: object, status: int, told: object) -> None:
    answer = httpx2.post(f"{control}/api/outcomes", json=body, trust_env=False)
    assert answer.status_code == status, answer.text
    assert answer.json() == told if isinstance(told, dict) else told in answer.json()["message"]
