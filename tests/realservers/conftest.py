"""Real model servers, each started once: `mlflow models serve` of several models, and Seldon's MLServer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gates.adapters.mlflowstore import connect, load_mlflow
from gates.adapters.modelserver import ModelServer
from tests.realservers.mlserver import MLServer, programs

HERE = Path(__file__).parent
ROLES = ("champion", "candidate")


@pytest.fixture(scope="session")
def mlflow_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The base URL of each role's server: scikit-learn's classifier and regressor, as `variants` has them answer."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    _register(uri, folder)
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(ModelServer(name, "1", tracking_uri=uri, log=folder / f"{name}.log"))
            for name in ROLES
        }
        for server in servers.values():
            server.wait_ready(300)
        yield {name: server.url for name, server in servers.items()}


def _register(uri: str, folder: Path) -> None:
    mlflow: Any = load_mlflow()
    from mlflow.models import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec

    client = connect(uri)
    signature = ModelSignature(params=ParamSchema([ParamSpec(role, "string", "labels") for role in ROLES]))
    for name in ROLES:
        path = folder / name
        mlflow.pyfunc.save_model(
            path, python_model=str(HERE / "variants.py"), signature=signature, model_config={"role": name}
        )
        client.create_registered_model(name)
        client.create_model_version(name, str(path))


@pytest.fixture(scope="session")
def mlserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLServer]:
    """Where services are required, a missing one fails; else it skips."""
    if programs() is None:
        missing = "MLServer is missing: make .venv/mlserver/.installed"
        assert not os.environ.get("PENSTOCK_REQUIRE_SERVICES"), missing
        pytest.skip(missing)
    with MLServer(tmp_path_factory.mktemp("mlserver")) as server:
        yield server
