"""The candidate breaks on a running proxy, and loses its traffic; `python -m loadtests.reaction` does it 20 times."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from loadtests.reaction import GIVE_UP_SECONDS, measure, quantile


def test_a_candidate_that_fails_half_its_answers_is_off_the_road_and_the_record_says_why(tmp_path: Path) -> None:
    runs = asyncio.run(measure(2, 100, tmp_path))
    assert len(runs) == 2
    for run in runs:
        assert 0 < run.seconds <= GIVE_UP_SECONDS
        assert run.bad == 0, "the champion stepped in for each answer that failed"
        assert run.gate == "error_rate"
        counted = re.match(
            r"gate error_rate: \S+ % errors, (\d+) failed of (\d+); the champion's 0 of \d+:", run.reason
        )
        assert counted is not None, run.reason
        assert 0 < int(counted[1]) <= run.failed
        assert int(counted[1]) < int(counted[2])


@given(st.lists(st.floats(0, 10), min_size=1, max_size=40))
def test_a_quantile_is_the_smallest_value_that_covers_its_part(values: list[float]) -> None:
    at = quantile(values, 0.95)
    assert sum(value <= at for value in values) >= 0.95 * len(values)
    assert sum(value < at for value in values) < 0.95 * len(values)
