"""Our side of the benchmark judges as the controller does: tick for tick the same evidence."""

from __future__ import annotations

import numpy as np
import pytest

from gates.evidence.mixture import log_mean
from gates.evidence.rate import Tally
from gates.evidence.watch import RateWatch, RatioWatch
from loadtests.judge.ours import ERROR_LIMIT, MARGIN, SLOW_LIMIT, Watches, judge
from loadtests.judge.traffic import Scenario, Traffic, simulate

RNG = 5
QUIET = Scenario("quiet", fault=0.04, onset=40, requests_per_second=20.0)


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return simulate(QUIET, 3, np.random.default_rng(RNG))


def test_many_rollouts_at_once_are_watched_like_each_alone(traffic: Traffic) -> None:
    arms, watches = traffic.counted, Watches(3)
    errors, latency = [RateWatch()] * 3, [RateWatch()] * 3
    against = [RatioWatch()] * 3
    columns = (arms.answers, arms.errors, arms.slow, arms.champion_answers, arms.champion_errors)
    sums = [column.cumsum(axis=0) for column in columns]
    for second in range(120):
        watches.look(np.stack([column[second] for column in columns]).astype(np.int64))
        for rollout in range(3):
            answers, failed, slow, theirs, their_errors = (int(column[second, rollout]) for column in sums)
            ours, champion = Tally(failed, answers), Tally(their_errors, theirs)
            errors[rollout] = errors[rollout].looked(ours, ERROR_LIMIT)
            latency[rollout] = latency[rollout].looked(Tally(slow, answers), SLOW_LIMIT)
            against[rollout] = against[rollout].looked(ours, champion, MARGIN)
    assert log_mean(watches.errors) == pytest.approx([w.above.log_evidence for w in errors], abs=1e-9)
    assert log_mean(watches.latency) == pytest.approx([w.above.log_evidence for w in latency], abs=1e-9)
    assert log_mean(watches.worse) == pytest.approx([w.worse.log_evidence for w in against], abs=1e-9)
    assert log_mean(watches.no_worse) == pytest.approx([w.no_worse.log_evidence for w in against], abs=1e-9)


def test_a_rollout_is_judged_the_same_in_any_company(traffic: Traffic) -> None:
    """Those that are rolled back leave the others as they were."""
    together = judge(traffic)
    assert np.isfinite(together.rolled_back).any()
    for rollout in range(3):
        arms = type(traffic.counted)(*(getattr(traffic.counted, name)[:, [rollout]] for name in ARMS))
        alone = judge(Traffic(QUIET, arms, arms))
        assert alone.rolled_back[0] == together.rolled_back[rollout]
        assert alone.promoted[0] == together.promoted[rollout]


ARMS = ("answers", "errors", "slow", "champion_answers", "champion_errors")


@pytest.mark.parametrize(
    ("scenario", "rolled_back", "promoted"),
    [
        (Scenario("healthy"), 0.0, 1.0),
        (Scenario("dead", fault=1.0), 1.0, 0.0),
        (Scenario("outage", outage=0.3), 0.0, 1.0),
        (Scenario("trickle", requests_per_second=0.5), 0.0, 0.0),
    ],
)
def test_good_releases_pass_bad_ones_fall_and_too_little_is_held(
    scenario: Scenario, rolled_back: float, promoted: float
) -> None:
    verdicts = judge(simulate(scenario, 5, np.random.default_rng(RNG)))
    assert np.isfinite(verdicts.rolled_back).mean() == rolled_back
    assert verdicts.promoted.mean() == promoted
