"""The shipped GitHub workflows, step by step: a bad version is blocked, a good one gets its rollout and is promoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gates.adapters.mlflowstore import connect
from proxy.snapshot import Phase
from tests.endtoend import workflow
from tests.endtoend.penstock import MODEL, Penstock, configuration
from tests.servers import Background, ModelServer, predicting

WORKFLOWS = Path(__file__).parents[2] / "docs" / "workflows"
GATES = """
offline:
  accuracy: {metric: score, min: 0.85, against: champion, margin: 0.02}
  lineage: {names: [git_commit]}
staging:
  latency_p95: {metric: latency, quantile: p95, max: 10s, min_requests: 20}
  error_rate: {max: 1%, min_requests: 20}
production:
  sla_violations: {}
  approvals: {reviews: [business]}
"""


@pytest.fixture
def registry(tracking_uri: str, tmp_path: Path) -> str:
    """Version 1 serves, 2 is worse, 3 is better."""
    client: Any = connect(tracking_uri)
    client.create_registered_model(MODEL)
    for accuracy in (0.92, 0.8225, 0.95):
        run = client.create_run("0", tags={"git_commit": "ab12"}).info.run_id
        client.log_metric(run, "accuracy", accuracy)
        client.create_model_version(MODEL, str(tmp_path / "model"), run)
    client.set_registered_model_alias(MODEL, "champion", "1")
    return tracking_uri


@pytest.mark.timeout(1200)  # a dozen commands, each an interpreter of its own
def test_a_bad_version_is_blocked_and_a_good_one_is_promoted(
    background: Background, tmp_path: Path, registry: str
) -> None:
    (tmp_path / "gates.yaml").write_text(GATES)
    (tmp_path / "payload.json").write_text('{"inputs": [[1.0]]}')
    with ModelServer(background, predicting(1.0)) as server:
        address = f"http://{server.origin.authority}"
        settings = configuration(tmp_path / "penstock.db", {"1": address, "2": address, "3": address}, champion="1")
        settings["models"][MODEL]["promotion"] = {"production": {"sla_violations": {}}}
        with Penstock(tmp_path, settings, workers=1) as penstock:
            values = {
                "inputs.model_name": MODEL,
                "vars.PENSTOCK_GATES": str(tmp_path / "gates.yaml"),
                "vars.STAGING_URL": address,
                "vars.STAGING_PAYLOAD": str(tmp_path / "payload.json"),
                "vars.STAGING_SECONDS": "3",
                "vars.PENSTOCK_CONTROL": penstock.control_url,
                "secrets.MLFLOW_TRACKING_URI": registry,
                "inputs.reason": "all well",
            }

            bad = workflow.run(
                WORKFLOWS / "candidate-to-staging.yaml", tmp_path, values | {"inputs.model_version": "2"}
            )
            assert bad.statuses == {"Judge the candidate": 2}, bad.output
            assert "| ❌ | accuracy | 0.8225 | 0.9 |" in bad.summary
            assert phase(penstock) is Phase.IDLE

            good = values | {"inputs.model_version": "3"}
            staged = workflow.run(WORKFLOWS / "candidate-to-staging.yaml", tmp_path, good)
            assert staged.succeeded, staged.output
            assert phase(penstock) is Phase.SHADOW

            promoted = workflow.run(WORKFLOWS / "promote-to-production.yaml", tmp_path, good)
            assert promoted.succeeded, promoted.output
            assert phase(penstock) is Phase.PROMOTED
            with penstock.client() as client:
                events = [row.event for row in client.events(MODEL)]
            assert events == ["promote", "gate", "approve", "start", "gate", "gate", "configure"]


def phase(penstock: Penstock) -> Phase:
    status = penstock.model()
    assert status is not None
    return status.phase
