"""The configuration changes under load; `python -m loadtests.reload` does it two thousand times."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadtests.reload import WAYS, measure


@pytest.mark.parametrize("way", WAYS)
def test_no_request_fails_and_each_sees_one_configuration(tmp_path: Path, way: str) -> None:
    result = asyncio.run(measure(way, 10, tmp_path))
    assert (result.failed, result.mixed) == ((), ())
    assert len(result.milliseconds) == result.changes == 10
    assert result.requests > 10
