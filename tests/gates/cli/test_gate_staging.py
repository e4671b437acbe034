"""`penstock gate staging`: a real `mlflow models serve`, and servers that are slow, that fail, or that say nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gates.adapters.mlflowstore import connect
from gates.cli import run
from gates.exits import Exit
from tests.servers import Background, Handler, ModelServer, Seen, predicting, refusing, reply

SHIPPED = Path(__file__).parents[3] / "config" / "gates" / "promotion.yaml"
BODY = b'{"predictions": [1]}'
ENOUGH = 150
"""More than the hundred requests that a gate asks for; a busy machine takes longer for them."""


def check(*asked: str, users: int = 8, rate: float = 20.0, seconds: int = 2) -> int:
    load = ["--users", str(users), "--rate", str(rate), "--duration", str(seconds)]
    return run(["gate", "staging", "--model", "fraud_detector", "--gates", str(SHIPPED), *load, *asked])


def gates_of(file: Path) -> Mapping[str, Any]:
    (stage,) = json.loads(file.read_text())["stages"]
    return {gate["gate"]: gate for gate in stage["gates"]}


def loaded(
    background: Background, handler: Handler, folder: Path, requests: int = 0, **load: Any
) -> tuple[int, Mapping[str, Any]]:
    """The exit and the gates, under a load that lasts until it has come to so many requests."""
    payload, report = folder / "body.json", folder / "report.json"
    payload.write_text('{"inputs": [[1.0, 2.0]]}')
    with ModelServer(background, handler) as server:
        where = ["--candidate", "42", "--url", f"http://127.0.0.1:{server.port}", "--payload", str(payload)]
        for seconds in (2, 20, 60):
            server.seen.clear()
            status = check(*where, "--output", str(report), "--strict", seconds=seconds, **load)
            assert all(seen.body == payload.read_bytes() for seen in server.seen)
            if len(server.seen) >= requests:
                break
    return status, gates_of(report)


def test_a_server_at_40_ms_is_no_go(background: Background, tmp_path: Path) -> None:
    async def slow(seen: Seen, send: Any) -> None:
        await asyncio.sleep(0.04)
        await reply(send, BODY)

    status, gates = loaded(background, slow, tmp_path, requests=ENOUGH)
    assert status == Exit.NO_GO
    assert gates["latency_p95"]["verdict"] == "FAIL"
    assert gates["latency_p95"]["value"] >= 0.04
    assert gates["error_rate"]["verdict"] == "PASS"
    assert {gates[name]["verdict"] for name in ("memory", "cpu", "cold_start", "logging")} == {"INSUFFICIENT"}


def test_a_server_with_3_percent_errors_is_no_go(background: Background, tmp_path: Path) -> None:
    count = iter(range(1_000_000))

    async def failing(seen: Seen, send: Any) -> None:
        await reply(send, BODY, 500 if next(count) % 33 == 0 else 200)

    status, gates = loaded(background, failing, tmp_path, requests=ENOUGH)
    assert status == Exit.NO_GO
    assert gates["error_rate"]["verdict"] == "FAIL"
    assert gates["error_rate"]["value"] == pytest.approx(0.03, abs=0.01)


def test_without_a_latency_history_there_is_no_verdict_but_a_warning(background: Background, tmp_path: Path) -> None:
    status, gates = loaded(background, predicting(1.0), tmp_path, users=1, rate=1.0)
    assert status == Exit.WARNING
    assert gates["latency_p95"]["verdict"] == "INSUFFICIENT"
    assert "at least 100 asked to tell" in gates["latency_p95"]["reason"]


def test_nobody_there_is_an_error_rate_of_all(tmp_path: Path) -> None:
    payload, report = tmp_path / "body.json", tmp_path / "report.json"
    payload.write_text("{}")
    with refusing() as origin:
        where = ["--candidate", "42", "--url", f"http://{origin.authority}", "--payload", str(payload)]
        assert check(*where, "--output", str(report), "--strict") == Exit.NO_GO
    assert gates_of(report)["error_rate"]["value"] == 1.0


MADE = """
import mlflow


class Half(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return [0.5] * len(model_input)


mlflow.models.set_model(Half())
"""


def register(uri: str, folder: Path) -> None:
    """A version that MLflow itself can serve, made without any framework: that would take half of the time."""
    import mlflow
    import pandas

    (folder / "made.py").write_text(MADE)
    example = pandas.DataFrame({"amount": [1.0, 2.0]})
    made = {"python_model": folder / "made.py", "input_example": example, "pip_requirements": []}
    mlflow.pyfunc.save_model(folder / "model", **made)
    client: Any = connect(uri)
    client.create_registered_model("fraud_detector")
    client.create_model_version("fraud_detector", str(folder / "model"), client.create_run("0").info.run_id)
    client.set_registered_model_alias("fraud_detector", "champion", "1")


@pytest.mark.timeout(600)  # it serves a model
def test_a_real_model_server_is_measured_whole(tmp_path: Path, tracking_uri: str, capfd: Any) -> None:
    register(tracking_uri, tmp_path)
    gates = tmp_path / "gates.yaml"
    # What a shared machine may take is not what production may take: the gates here only have to have data.
    gates.write_text(
        "staging:\n"
        "  latency_p95: {metric: latency, quantile: p95, max: 10s}\n"
        "  latency_p99: {metric: latency, quantile: p99, max: 10s}\n"
        "  memory: {max: 4GiB}\n  cpu: {max: 99.9%}\n  cold_start: {max: 5m}\n  error_rate: {max: 0.1%}\n"
        "  server_start: {metric: cold_start, of: server, max: 5m}\n"
        "  logging: {min: 1.0}\n"
    )
    report = tmp_path / "report.json"
    asked = ["gate", "staging", "--model", "fraud_detector", "--candidate", "@champion", "--tracking-uri", tracking_uri]
    load = ["--users", "4", "--rate", "10", "--duration", "5", "--starts", "1", "--gates", str(gates)]
    assert run([*asked, *load, "--output", str(report), "--strict"]) == Exit.GO
    seen = gates_of(report)
    assert seen["server_start"]["value"] > seen["cold_start"]["value"] > 0
    assert "of the server with its software" in seen["cold_start"]["reason"]
    assert seen["memory"]["value"] > 50 * 2**20
    assert 0 < seen["cpu"]["value"] < 1
    assert seen["logging"]["value"] == 1.0
    told = capfd.readouterr()
    assert "Aggregated" in told.err
    assert "latency_p99 PASS" in told.out


def test_a_version_that_is_not_there_is_no_verdict(tmp_path: Path, tracking_uri: str, capfd: Any) -> None:
    assert check("--candidate", "42", "--tracking-uri", tracking_uri) == Exit.REFUSED
    assert "'42'" in capfd.readouterr().err
    assert check("--candidate", "42", "--shape", "flat") == Exit.USAGE
