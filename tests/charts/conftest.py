from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml

from tests.charts.rendering import (
    Objects,
    Render,
    Values,
    run_helm,
)


@pytest.fixture(scope="module")
def helm() -> str:
    found = shutil.which("helm")
    if found is None:
        assert not os.environ.get("PENSTOCK_REQUIRE_SERVICES"), "helm is not on PATH; .ci/run shows how to get it"
        pytest.skip("helm is not on PATH")
    return found


@pytest.fixture
def render(helm: str, tmp_path: Path) -> Render:
    """Values in, the chart's objects out, by kind and name."""

    def rendered(values: Values) -> Objects:
        done = run_helm(helm, tmp_path, values)
        assert done.returncode == 0, done.stderr
        manifests = [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
        objects = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}
        assert len(objects) == len(manifests), "two objects of one kind share a name"
        return objects

    return rendered
