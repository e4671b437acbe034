"""The simulated traffic is what the scenarios say."""

from __future__ import annotations

import numpy as np
import pytest

from loadtests.judge.traffic import ERRORS, OUTAGE, SCENARIOS, SECONDS, SHARE, Scenario, simulate, slow_share


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_counts_can_be_and_shares_are_as_told(scenario: Scenario) -> None:
    traffic = simulate(scenario, 2, np.random.default_rng(1))
    for arms in (traffic.answered, traffic.counted):
        assert arms.answers.shape == (SECONDS, 2)
        assert (arms.errors <= arms.answers).all()
        assert (arms.slow <= arms.answers).all()
        assert (arms.champion_errors <= arms.champion_answers).all()
        assert arms.errors.min() >= 0
    total = traffic.answered.answers.sum() / 2
    expected = scenario.requests_per_second * SHARE * SECONDS
    assert total == pytest.approx(expected, abs=6 * np.sqrt(expected))


def test_faults_and_outages_come_and_go_on_time() -> None:
    late = simulate(Scenario("late", fault=0.5, onset=2000), 2, np.random.default_rng(2)).answered
    assert late.errors[2000:].sum() / late.answers[2000:].sum() == pytest.approx(0.5, abs=0.02)
    assert late.errors[:2000].sum() / late.answers[:2000].sum() == pytest.approx(ERRORS, abs=0.002)
    both = simulate(Scenario("both", outage=0.3), 2, np.random.default_rng(3)).answered
    for errors, answers in ((both.errors, both.answers), (both.champion_errors, both.champion_answers)):
        assert errors[OUTAGE].sum() / answers[OUTAGE].sum() == pytest.approx(0.3, abs=0.03)
        assert errors[OUTAGE.stop :].sum() / answers[OUTAGE.stop :].sum() == pytest.approx(ERRORS, abs=0.002)


def test_slow_answers_follow_from_the_p99() -> None:
    """Where the p99 is the limit, one answer in a hundred is above it."""
    assert slow_share(1.5) == pytest.approx(0.01, abs=1e-9)
    assert slow_share(1.0) < 0.01 < slow_share(1.8)


def test_of_a_sticky_user_only_the_first_request_counts() -> None:
    traffic = simulate(Scenario("sticky", sticky=True), 2, np.random.default_rng(4))
    assert (traffic.counted.answers.sum(axis=0) <= 1000).all()
    assert (traffic.counted.answers.sum(axis=0) > 900).all()
    assert (traffic.counted.answers <= traffic.answered.answers).all()
    assert (traffic.counted.errors <= traffic.answered.errors).all()
    assert traffic.answered.answers.sum() > 30 * 1000
