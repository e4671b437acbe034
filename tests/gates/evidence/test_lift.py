"""Means: against `ville`, numpy and simulation; merging in any order."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import ville
from hypothesis import given
from hypothesis import strategies as st

from gates.evidence.lift import FEWEST, Moments, _tuning, lift_range, mean_range

VALUES = st.lists(st.floats(-1e6, 1e6), max_size=60)


@pytest.mark.parametrize("alpha", [0.01, 0.05])
@pytest.mark.parametrize("n", [FEWEST, 1000, 20_000])
def test_agrees_with_another_library(n: int, alpha: float) -> None:
    values = np.random.default_rng(n).gamma(2.0, 3.0, n)
    theirs = ville.AsymptoticCS(alpha, t_opt=5000, min_samples=FEWEST)
    theirs.rho_ = 1 / _tuning(alpha, 5000) ** 2  # its own comes from a search, ours from the paper's closed form
    lower, upper = theirs.fit(values).interval()
    ours = mean_range(Moments.of(values.tolist()), alpha, narrowest=5000)
    assert ours is not None
    assert (ours.lower, ours.upper) == pytest.approx((lower, upper), abs=1e-9)


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.2])
def test_is_as_narrow_as_a_search_for_the_best_tuning_makes_it(alpha: float) -> None:
    best = float(ville.normal_mixture(5000, alpha, ville.best_rho(5000, alpha)))
    assert float(ville.normal_mixture(5000, alpha, 1 / _tuning(alpha, 5000) ** 2)) <= 1.001 * best


@given(VALUES)
def test_moments_are_those_of_the_values(values: list[float]) -> None:
    moments = Moments.of(values)
    assert moments.count == len(values)
    if values:
        assert moments.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
        assert moments.squares == pytest.approx(np.var(values) * len(values), rel=1e-9, abs=1e-3)


@given(VALUES, VALUES, VALUES)
def test_merging_is_a_commutative_monoid(first: list[float], second: list[float], third: list[float]) -> None:
    a, b, c = Moments.of(first), Moments.of(second), Moments.of(third)
    assert a.merged(Moments()) == a == Moments().merged(a)
    assert close(a.merged(b), b.merged(a))
    assert close(a.merged(b).merged(c), a.merged(b.merged(c)))
    assert close(a.merged(b), Moments.of(first + second))


def close(left: Moments, right: Moments) -> bool:
    return (
        left.count == right.count
        and math.isclose(left.mean, right.mean, rel_tol=1e-9, abs_tol=1e-6)
        and math.isclose(left.squares, right.squares, rel_tol=1e-9, abs_tol=1e-3)
    )


def test_a_small_spread_on_a_large_mean_is_not_lost() -> None:
    values = [1e9 + k % 2 for k in range(1000)]
    assert Moments.of(values).squares == pytest.approx(250, rel=1e-6)


def test_moments_survive_a_restart() -> None:
    moments = Moments.of([0.1, 0.2, 1 / 3])
    assert msgspec.json.decode(msgspec.json.encode(moments), type=Moments) == moments


def test_the_lift_is_covered_at_every_look() -> None:
    """400 runs with a true lift of 0.5 and shares of one to nine, looked at every 100 of the candidate's values."""
    rng = np.random.default_rng(6)
    missed = 0
    for _ in range(400):
        candidate, champion, wrong = Moments(), Moments(), False
        for _ in range(20):
            candidate = candidate.merged(batch(rng.gamma(2.0, 1.0, 100) + 0.5))
            champion = champion.merged(batch(rng.gamma(2.0, 1.0, 900)))
            covered = lift_range(candidate, champion, 0.1, narrowest=1000)
            assert covered is not None
            wrong |= not covered.lower <= 0.5 <= covered.upper
        missed += wrong
    assert missed <= 40


def batch(values: np.ndarray) -> Moments:
    return Moments(len(values), float(values.mean()), float(values.var() * len(values)))


def test_a_lift_is_shown_once_there_is_enough_of_it() -> None:
    rng = np.random.default_rng(7)
    champion = batch(rng.normal(10.0, 2.0, 20_000))
    shown = lift_range(batch(rng.normal(10.5, 2.0, 5000)), champion, 0.01)
    assert shown is not None
    assert shown.lower > 0
    assert lift_range(batch(rng.normal(10.5, 2.0, FEWEST - 1)), champion, 0.01) is None
    assert lift_range(champion, batch(rng.normal(10.5, 2.0, FEWEST - 1)), 0.01) is None


def test_huge_counts_have_a_width() -> None:
    assert mean_range(Moments(10**9, 1e9, 1e18), 0.01) is not None
    constant = mean_range(Moments(10**9, 3.0, 0.0), 0.01)
    assert constant is not None
    assert constant.lower == constant.upper == 3.0


@pytest.mark.parametrize("values", [[math.nan], [math.inf], [1e300, -1e300]])
def test_values_that_are_no_measurements_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="moments"):
        Moments.of(values)


@pytest.mark.parametrize(("alpha", "narrowest"), [(0.0, 100), (1.0, 100), (0.05, 0)])
def test_levels_that_are_none_are_refused(alpha: float, narrowest: int) -> None:
    with pytest.raises(ValueError, match="alpha"):
        mean_range(Moments.of([1.0] * FEWEST), alpha, narrowest)
