"""A real MLflow tracking server for the tests, and versions of a model that differ in one thing each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gates.adapters.mlflowstore import connect
from tests.ports import claimed_port

GOOD_METRICS = {
    "accuracy": 0.93,
    "auc": 0.95,
    "demographic_parity": 0.04,
    "calibration_psi": 0.05,
    "accuracy/EU": 0.92,
    "accuracy/US": 0.94,
    "feature_coverage": 0.99,
}
GOOD_TAGS = {
    "git_commit": "ab12cd3",
    "dataset": "transactions-2026-10",
    "feature_view": "txn_v5",
    "code_version": "1.5.0",
    "approver": "@meera",
    "reason": "retrained on October",
    "feature_hash": "f00d",
    "team": "fraud",
    "owner": "@meera",
    "risk": "tier1",
    "pii": "false",
    "compliance": "pci_dss",
    "sla": "p99_50ms",
    "data_residency": "us_only",
}
# The uvicorn that MLflow starts is this environment's; job runners, of which it would start eight, are not needed.
_ALONE = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
INPUTS = (("amount", "double"), ("hour", "long"))


class MlflowServer(AbstractContextManager["MlflowServer"]):
    """`mlflow server` on a loopback port, over SQLite and a folder for artifacts that it serves itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{claimed_port()}"
        self._log = folder / "mlflow.log"
        command = ["server", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
        command += ["--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *command, "--port", self.url.rpartition(":")[2]],
                cwd=folder,
                stdout=log,
                stderr=log,
                env={**os.environ, **_ALONE},
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        self.client: Any = connect(self.url)

    def _wait(self) -> None:
        """It imports for seconds, and makes its tables; on a busy machine that is a minute."""
        deadline = time.monotonic() + 150
        while not self._answers():
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=1):
                return True
        except OSError:
            return False

    def register(
        self,
        model: str,
        metrics: Mapping[str, float] = GOOD_METRICS,
        tags: Mapping[str, str] = GOOD_TAGS,
        inputs: Iterable[tuple[str, str]] | None = INPUTS,
        padding: int = 0,
        files: bool = True,
    ) -> str:
        """One more version, whose files are real; with `inputs` None it has no signature. Returns its number."""
        if not self.client.search_registered_models(f"name = '{model}'"):
            self.client.create_registered_model(model)
        from mlflow.entities import Metric

        run = self.client.create_run("0", tags=dict(tags)).info.run_id
        now = int(time.time() * 1000)
        self.client.log_batch(run, metrics=[Metric(name, value, now, 0) for name, value in metrics.items()])
        if files:
            self._log_model(run, inputs, padding)
        return str(self.client.create_model_version(model, f"runs:/{run}/model", run).version)

    def _log_model(self, run: str, inputs: Iterable[tuple[str, str]] | None, padding: int) -> None:
        from mlflow.models import Model, ModelSignature
        from mlflow.types.schema import ColSpec, Schema

        made = self.folder / "made"
        made.mkdir(exist_ok=True)
        written = Model(run_id=run)
        if inputs is not None:
            columns = Schema([ColSpec(kind, name) for name, kind in inputs])
            written.signature = ModelSignature(columns, Schema([ColSpec("long", "fraud")]))
        written.save(str(made / "MLmodel"))
        (made / "weights.bin").write_bytes(b"\0" * padding)
        self.client.log_artifacts(run, str(made), "model")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
