"""A champion that flips one label in twenty is no reason to roll back a candidate that is the same model; a candidate
that flips more is found as soon as the evidence can tell."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from gates.checks import GateWatch, judge_one, look
from gates.evidence import requests_to_show_worse
from gates.gate import Budget, Gate
from gates.verdict import Verdict
from proxy.window import Window

GATE = Gate("agreement", "agreement", 0.98, margin=0.05, against="noise_floor")
ALPHA = Budget().false_alarm / 8
"""The part of one of two critical gates in a plan of four stages."""
FLIPS = 0.05


def differing(one: float, other: float) -> float:
    """How often two answers differ whose labels are flipped so often, each by itself: one of them is, and not both."""
    return one * (1 - other) + other * (1 - one)


def pairs_to_rollback(candidate: float, most: int, seed: int, every: int) -> int | None:
    """Every request goes to the champion, once more to the champion (the probe), and to the candidate; looked at after
    `every` so many pairs. None where it is still under way after `most`."""
    drawn = np.random.default_rng(seed)
    flips = [drawn.random(most) < rate for rate in (FLIPS, FLIPS, candidate)]
    noise, pairs = np.cumsum(flips[0] != flips[1]), np.cumsum(flips[0] != flips[2])
    window = Window()
    watches: tuple[GateWatch, ...] = ()
    for seen in range(every, most + 1, every):
        window.agreement.compared = window.noise.compared = seen
        window.agreement.disagreed, window.noise.disagreed = int(pairs[seen - 1]), int(noise[seen - 1])
        watches = look([GATE], watches, window)
        if judge_one(GATE, watches[0], window, ALPHA, 0.05).verdict is Verdict.FAIL:
            return seen
    return None


def test_the_same_model_is_not_rolled_back_in_two_hundred_runs() -> None:
    assert [seed for seed in range(200) if pairs_to_rollback(FLIPS, 10_000, seed, every=250) is not None] == []


def test_without_the_noise_floor_it_would_have_been() -> None:
    """The champion alone is below the gate's limit: it differs from itself in 9.5 % of the pairs."""
    assert differing(FLIPS, FLIPS) == pytest.approx(0.095)
    window = Window()
    window.agreement.compared, window.agreement.disagreed = 10_000, 950
    strict = Gate("agreement", "agreement", 0.98)
    assert judge_one(strict, look([strict], (), window)[0], window, ALPHA, 0.05).verdict is Verdict.FAIL


def test_one_that_flips_more_is_found_in_the_median_as_soon_as_is_predicted() -> None:
    rates = differing(FLIPS, 0.08), differing(FLIPS, FLIPS)
    predicted = requests_to_show_worse(*rates, share=0.5, margin=0.05, alpha=ALPHA)
    assert predicted is not None
    found = [pairs_to_rollback(0.08, 4 * predicted, seed, every=50) or 4 * predicted for seed in range(300)]
    assert statistics.median(found) <= predicted
