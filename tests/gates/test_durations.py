"""Durations in words."""

from __future__ import annotations

import pytest

from gates.durations import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.25, "0.2 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (86_100, "23 h 55 min"),
        (86_400, "1 d"),
        (93_600, "1 d 2 h"),
    ],
)
def test_the_two_largest_units_and_no_zeros(seconds: float, words: str) -> None:
    assert duration(seconds) == words
