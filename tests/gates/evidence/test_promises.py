"""What the gates promise of themselves, by simulation with fixed seeds: how seldom they are wrong, and how fast right.

All of it runs through the functions that the controller uses, a thousand rollouts at once."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from gates.evidence.mixture import Vector, log_mean
from gates.evidence.process import advance, begin
from gates.evidence.rate import factors_above
from gates.evidence.ratio import factors_worse

Counts = NDArray[np.int64]
BOUND = 0.01
LOOK = 50
REQUESTS = 20_000


def first_alarm(rollouts: int, ticks: Iterable[tuple[int, Vector]], alpha: float) -> NDArray[np.float64]:
    """The candidate's requests at each rollout's alarm, infinity where there is none; ticks as (trials, factors)."""
    logs, seen = np.tile(begin(), (rollouts, 1)), 0
    alarm = np.full(rollouts, np.inf)
    for trials, factors in ticks:
        logs = advance(logs, seen, trials, factors)
        seen += trials
        alarm[(log_mean(logs) >= -math.log(alpha)) & np.isinf(alarm)] = seen
    return alarm


def rate_ticks(events: Counts, trials: int) -> Iterable[tuple[int, Vector]]:
    """Ticks of `trials` requests each, from events of shape (rollouts, ticks)."""
    return ((trials, factors_above(tick, trials, BOUND)) for tick in events.T)


@pytest.mark.parametrize(("true", "requests", "most"), [(1.0, 8, 3), (0.5, 60, 6), (0.2, 200, 16), (0.05, 900, 150)])
def test_a_fault_is_found_within_a_handful_of_requests(true: float, requests: int, most: int) -> None:
    events = np.random.default_rng(11).binomial(1, true, (2001, requests))
    assert np.median(first_alarm(2001, rate_ticks(events, 1), 0.01)) <= most


def test_a_fault_that_begins_late_is_found_soon() -> None:
    """5 % errors after 20 000 good requests with 0.5 %."""
    rng = np.random.default_rng(12)
    good = rate_ticks(rng.binomial(LOOK, 0.005, (1001, REQUESTS // LOOK)), LOOK)
    bad = rate_ticks(rng.binomial(1, 0.05, (1001, 1200)), 1)
    alarm = first_alarm(1001, (tick for part in (good, bad) for tick in part), 0.01)
    assert (alarm > REQUESTS).mean() >= 0.99
    assert np.median(alarm) - REQUESTS <= 350


def test_a_rollout_of_twins_is_rolled_back_no_more_often_than_declared() -> None:
    """2000 rollouts of 20 000 requests looked at every 50, every gate at the very edge of what it allows: errors and
    slow answers as often as the bounds say, and the champion no better. One budget of 1 % for the three."""
    rollouts, ticks, alpha = 2000, REQUESTS // LOOK, 0.01
    rng = np.random.default_rng(13)
    errors, slow = (rng.binomial(LOOK, BOUND, (rollouts, ticks)) for _ in range(2))
    champion = rng.binomial(9 * LOOK, BOUND, (rollouts, ticks))
    against = (
        (LOOK, factors_worse(ours, LOOK, theirs, 9 * LOOK, 0.0))
        for ours, theirs in zip(errors.T, champion.T, strict=True)
    )
    alarms = [
        first_alarm(rollouts, gate, alpha / 3) for gate in (rate_ticks(errors, LOOK), rate_ticks(slow, LOOK), against)
    ]
    false = int(np.isfinite(np.min(alarms, axis=0)).sum())
    assert 0 < false <= binom.ppf(0.99, rollouts, alpha)


def sticky_ticks(rollouts: int, once_a_key: bool) -> Iterable[tuple[Counts, Counts]]:
    """Trials and events of each tick. Every rollout's requests come from 500 users in any order, and a user's stand or
    fall together: its own error rate is drawn from Beta(0.02, 1.98), with the bound as its mean. Where a key counts
    once, only its first request does."""
    rng = np.random.default_rng(14)
    rates, known = rng.beta(0.02, 1.98, (rollouts, 500)), np.zeros((rollouts, 500), dtype=bool)
    everyone = np.arange(rollouts)
    for _ in range(REQUESTS // LOOK):
        trials, events = np.zeros(rollouts, dtype=np.int64), np.zeros(rollouts, dtype=np.int64)
        for _ in range(LOOK):
            user = rng.integers(0, 500, rollouts)
            counted = ~known[everyone, user] if once_a_key else np.ones(rollouts, dtype=bool)
            known[everyone, user] = True
            trials += counted
            events += counted & (rng.random(rollouts) < rates[everyone, user])
        yield trials, events


@pytest.mark.parametrize("once_a_key", [True, False])
def test_sticky_users_need_the_rule_of_one_trial_a_key(once_a_key: bool) -> None:
    """Request by request a few unlucky users convict a lawful candidate; one trial a key keeps the budget."""
    rollouts, alpha = 2000, 0.01
    logs, seen = np.tile(begin(), (rollouts, 1)), np.zeros(rollouts, dtype=np.int64)
    alarmed = np.zeros(rollouts, dtype=bool)
    for trials, events in sticky_ticks(rollouts, once_a_key):
        logs = advance(logs, seen, trials, factors_above(events, trials, BOUND))
        seen += trials
        alarmed |= log_mean(logs) >= -math.log(alpha)
    within = bool(alarmed.sum() <= binom.ppf(0.99, rollouts, alpha))
    assert within == once_a_key


def outage(rng: np.random.Generator, rollouts: int) -> Iterable[tuple[Counts, Counts]]:
    """Both arms' events, 50 requests against 450 a tick: 0.5 % errors, and in the middle 30 % for a while."""
    for tick in range(REQUESTS // LOOK):
        rate = 0.3 if 100 <= tick < 160 else 0.005
        yield rng.binomial(LOOK, rate, rollouts), rng.binomial(9 * LOOK, rate, rollouts)


def test_an_outage_of_both_arms_rolls_no_candidate_back() -> None:
    ticks = [
        (LOOK, factors_worse(ours, LOOK, theirs, 9 * LOOK, 0.0))
        for ours, theirs in outage(np.random.default_rng(15), 300)
    ]
    assert np.isinf(first_alarm(300, ticks, 0.01)).all()


@pytest.mark.parametrize(("ratio", "requests", "most"), [(5, 3000, 410), (20, 400, 40), (100, 60, 8)])
def test_a_candidate_worse_than_its_champion_is_found(ratio: int, requests: int, most: int) -> None:
    """The champion fails at 0.5 %, the candidate has a share of 5 %."""
    rng = np.random.default_rng(16)
    ours, theirs = rng.binomial(1, ratio * 0.005, (1001, requests)), rng.binomial(19, 0.005, (1001, requests))
    ticks = ((1, factors_worse(a, 1, b, 19, 0.0)) for a, b in zip(ours.T, theirs.T, strict=True))
    assert np.median(first_alarm(1001, ticks, 0.01)) <= most
