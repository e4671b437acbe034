"""Programs that the benchmark drives and that a machine may lack."""

from __future__ import annotations

import os
import shutil

import pytest


def needed(*programs: str) -> None:
    """Skip the test where one is missing; fail it where services are required."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        assert not os.environ.get("PENSTOCK_REQUIRE_SERVICES"), f"missing: {missing}; .ci/run shows how to get them"
        pytest.skip(f"missing: {', '.join(missing)}")
