"""Two pieces of evidence as one: their means, and another library's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import ville
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from gates.evidence.combine import both, either
from gates.evidence.mixture import log_mean
from gates.evidence.ratio import factors_worse

LOGS = st.floats(-300, 300)


@given(LOGS, LOGS)
def test_either_is_the_mean_of_the_two(left: float, right: float) -> None:
    mean = math.log(float(ville.evalues.combine([math.exp(left), math.exp(right)])))
    assert either(left, right) == pytest.approx(mean, abs=1e-9)


@given(LOGS, LOGS)
def test_both_is_no_surer_than_the_less_sure_and_either_hardly_less_than_the_surer(left: float, right: float) -> None:
    assert both(left, right) == min(left, right)
    assert max(left, right) - math.log(2) <= either(left, right) <= max(left, right) + 1e-12


def test_two_kinds_of_evidence_from_the_same_answers_still_mean_at_most_one() -> None:
    """The same events against a bound and against the champion: nothing independent about them."""
    rate, n, m = 0.2, 12, 12
    mean = 0.0
    for events in range(n + 1):
        for champion_events in range(m + 1):
            chance = binom.pmf(events, n, rate) * binom.pmf(champion_events, m, rate)
            bound = math.log(binom.pmf(events, n, 0.5) / binom.pmf(events, n, rate))
            against = float(log_mean(factors_worse(events, n, champion_events, m, 0.0)))
            mean += chance * math.exp(float(either(bound, against)))
    assert 0.5 < mean <= 1 + 1e-12


def test_works_on_many_at_once() -> None:
    left, right = np.array([0.0, 5.0]), np.array([3.0, -4.0])
    assert both(left, right).tolist() == [0.0, -4.0]
    assert either(left, right) == pytest.approx([either(0.0, 3.0), either(5.0, -4.0)])
