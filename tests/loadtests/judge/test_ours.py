"""Our side of the benchmark judges as the controller does: tick for tick the same evidence, and the same verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from gates import checks
from gates.evidence.mixture import log_mean
from gates.verdict import GateResult, Verdict
from loadtests.judge.ours import ALARM, BUDGET, GATES, Watches, judge
from loadtests.judge.traffic import Scenario, Traffic, simulate
from proxy.histogram import Histogram, index_of
from proxy.tally import LaneTally
from proxy.window import Window

RNG = 5
QUIET = Scenario("quiet", fault=0.04, onset=40, requests_per_second=20.0)


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return simulate(QUIET, 3, np.random.default_rng(RNG))


def window(answers: int, failed: int, slow: int, champion: int, champion_failed: int) -> Window:
    """Cumulative counts as a worker would bring them; failures are quick."""
    return Window(
        champion=LaneTally(champion, {}, {"status_5xx": champion_failed}, _latency(champion, 0)),
        candidate=LaneTally(answers, {}, {"status_5xx": failed}, _latency(answers, slow)),
    )


def _latency(answers: int, slow: int) -> Histogram:
    return Histogram({index_of(10_000): answers - slow, index_of(900_000): slow}, answers)


def judged(watches: tuple[checks.GateWatch, ...], seen: Window) -> tuple[GateResult, ...]:
    return checks.judge(GATES, watches, seen, ALARM, BUDGET.false_pass)


def test_many_rollouts_at_once_are_judged_like_each_alone(traffic: Traffic) -> None:
    arms, watches = traffic.counted, Watches(3)
    alone: list[tuple[checks.GateWatch, ...]] = [()] * 3
    columns = (arms.answers, arms.errors, arms.slow, arms.champion_answers, arms.champion_errors)
    sums = [column.cumsum(axis=0) for column in columns]
    for second in range(120):
        watches.look(np.stack([column[second] for column in columns]).astype(np.int64))
        totals = np.stack([column[second] for column in sums]).astype(np.int64)
        seen = [window(*map(int, totals[:, rollout])) for rollout in range(3)]
        alone = [checks.look(GATES, watch, each) for watch, each in zip(alone, seen, strict=True)]
        results = [judged(watch, each) for watch, each in zip(alone, seen, strict=True)]
        fails = [any(result.verdict is Verdict.FAIL for result in gates) for gates in results]
        passes = [all(result.verdict is Verdict.PASS for result in gates) for gates in results]
        assert watches.failing().tolist() == fails
        assert (watches.passing(totals) & ~watches.failing()).tolist() == passes
    errors, latency = zip(*alone, strict=True)
    against = [watch.against for watch in errors if watch.against is not None]
    assert log_mean(watches.errors) == pytest.approx([w.rate.above.log_evidence for w in errors], abs=1e-9)
    assert log_mean(watches.latency) == pytest.approx([w.rate.above.log_evidence for w in latency], abs=1e-9)
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
