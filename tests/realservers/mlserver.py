"""Seldon's MLServer, which speaks V2, from an environment of its own: `make .venv/mlserver/.installed`."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from tests.ports import claimed_port

ENVIRONMENT = Path(__file__).parents[2] / ".venv" / "mlserver"
MODEL = "iris"
_START_SECONDS = 300.0  # seconds of it on an idle machine

# The environment has its own scikit-learn, so the model is made by that one.
_TRAIN = """
import sys, joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
data = load_iris()
joblib.dump(LogisticRegression(max_iter=1000).fit(data.data, data.target), sys.argv[1])
"""


def programs() -> Path | None:
    folder = ENVIRONMENT / "bin"
    return folder if (folder / "mlserver").exists() else None


class MLServer:
    """One server of one iris classifier, at `/v2/models/iris/infer`; its log is in its folder."""

    def __init__(self, folder: Path) -> None:
        ports = {name: claimed_port() for name in ("http_port", "grpc_port", "metrics_port")}
        self.url = f"http://127.0.0.1:{ports['http_port']}"
        model = folder / "model.joblib"
        subprocess.run([ENVIRONMENT / "bin" / "python", "-c", _TRAIN, model], check=True, timeout=300)
        settings = {"host": "127.0.0.1", "parallel_workers": 0, **ports}
        (folder / "settings.json").write_text(json.dumps(settings))
        serving = {"name": MODEL, "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": str(model)}}
        (folder / "model-settings.json").write_text(json.dumps(serving))
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [ENVIRONMENT / "bin" / "mlserver", "start", folder], stdout=log, stderr=subprocess.STDOUT, cwd=folder
            )

    def __enter__(self) -> Self:
        deadline = time.monotonic() + _START_SECONDS
        try:
            while not self._is_ready():
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.2)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            return httpx2.get(f"{self.url}/v2/models/{MODEL}/ready", trust_env=False).is_success
        except httpx2.HTTPError:
            return False

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
