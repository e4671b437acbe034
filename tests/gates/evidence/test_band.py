"""The band that holds a rate whenever it is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.evidence import Range, Tally, log_evidence_above, rate_band, threshold


def test_no_data_leaves_everything_possible() -> None:
    band = rate_band(Tally(), 0.05)
    assert (band.lower, band.upper) == (0.0, 1.0)


@given(trials=st.integers(1, 10_000), part=st.floats(0, 1), alpha=st.floats(0.001, 0.5))
def test_the_observed_rate_is_inside_and_more_certainty_is_wider(trials: int, part: float, alpha: float) -> None:
    tally = Tally(round(part * trials), trials)
    band, surer = rate_band(tally, alpha), rate_band(tally, alpha / 2)
    assert 0 <= surer.lower <= band.lower <= tally.events / trials <= band.upper <= surer.upper <= 1


def test_more_data_is_narrower() -> None:
    widths = [(band := rate_band(Tally(n // 10, n), 0.05)).upper - band.lower for n in (10, 100, 1_000, 100_000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.01


def test_the_mirror_image_of_the_data_has_the_mirror_image_of_the_band() -> None:
    seldom, often = rate_band(Tally(3, 200), 0.05), rate_band(Tally(197, 200), 0.05)
    assert (1 - often.upper, 1 - often.lower) == pytest.approx((seldom.lower, seldom.upper), abs=1e-9)


def test_it_holds_the_rate_at_all_times_at_once() -> None:
    """Of 400 sequences that are looked at after each of 600 trials, at most one in twenty ever loses the truth; the
    binomial bound on that count is three deviations."""
    rate, alpha, draw = 0.08, 0.05, np.random.default_rng(5)
    sums = (draw.random((400, 600)) < rate).cumsum(axis=1)
    bands: dict[tuple[int, int], Range] = {}
    lost = 0
    for row in sums:
        for n, events in enumerate(row, start=1):
            key = (int(events), n)
            band = bands.get(key) or bands.setdefault(key, rate_band(Tally(*key), alpha))
            if not band.lower <= rate <= band.upper:
                lost += 1
                break
    assert lost <= 400 * alpha + 3 * (400 * alpha * (1 - alpha)) ** 0.5


def test_it_is_about_as_sharp_as_the_gates_own_evidence() -> None:
    """A limit far outside the band is one that a gate has long found to be broken."""
    tally = Tally(40, 200)
    assert log_evidence_above(tally.events, tally.trials, rate_band(tally, 0.05).lower / 2) > threshold(0.05)
