"""The rivals' rules, on traffic made by hand and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from loadtests.judge.rivals import RIVALS, Argo, Flagger, Kayenta, shift
from loadtests.judge.traffic import SECONDS, Arms, Scenario, Traffic
from loadtests.judge.verdicts import NEVER, Verdicts


def traffic(bad_minutes: list[int], silent_minutes: list[int] | None = None) -> Traffic:
    """One rollout with ten answers a second; in a bad minute one in ten of the candidate's fails."""
    answers, errors = np.full((SECONDS, 1), 10, dtype=np.int32), np.zeros((SECONDS, 1), dtype=np.int32)
    for minute in bad_minutes:
        errors[60 * minute : 60 * (minute + 1)] = 1
    for minute in silent_minutes or []:
        answers[60 * minute : 60 * (minute + 1)] = 0
    arms = Arms(answers, errors, np.zeros_like(errors), 9 * answers, np.zeros_like(errors))
    return Traffic(Scenario("by hand"), arms, arms)


def judged(rule: Flagger | Argo | Kayenta, what: Traffic) -> tuple[float, bool]:
    verdicts: Verdicts = rule.judge(what, np.random.default_rng(3))
    return float(verdicts.rolled_back[0]), bool(verdicts.promoted[0])


def test_flagger_counts_failed_checks_and_never_forgets_one() -> None:
    apart = traffic([2, 20, 40])
    assert judged(Flagger(1), apart) == (180, False)
    assert judged(Flagger(3), apart) == (41 * 60, False)
    assert judged(Flagger(5), apart) == (NEVER, True)


def test_flagger_takes_a_metric_without_values_for_a_failed_check() -> None:
    assert judged(Flagger(2), traffic([], silent_minutes=[5, 6])) == (7 * 60, False)


def test_flagger_does_not_advance_on_a_failed_check() -> None:
    assert judged(Flagger(20), traffic(list(range(10)))) == (NEVER, True)
    assert judged(Flagger(20), traffic(list(range(11)))) == (NEVER, False)


def test_argo_fails_a_run_once_there_are_more_failures_than_its_limit() -> None:
    apart = traffic([2, 20, 40, 50])
    assert judged(Argo(1, 0), apart) == (180, False)
    assert judged(Argo(1, 3), apart) == (51 * 60, False)
    assert judged(Argo(1, 3), traffic([2, 20, 40])) == (NEVER, True)
    assert judged(Argo(5, 0), traffic([2])) == (300, False)


def test_argo_takes_not_a_number_for_a_failure() -> None:
    assert judged(Argo(1, 0), traffic([], silent_minutes=[9])) == (600, False)


def test_kayenta_fails_a_canary_whose_error_rate_is_higher_all_along() -> None:
    assert judged(Kayenta(), traffic([])) == (NEVER, True)
    assert judged(Kayenta(), traffic(list(range(60)))) == (SECONDS, False)
    assert judged(Kayenta(), traffic([1, 2, 3])) == (NEVER, True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "m"), [(60, 60), (12, 40)])
def test_kayentas_interval_is_that_of_the_mann_whitney_test(seed: int, n: int, m: int) -> None:
    """A shift just inside it is not rejected at 1 %, one just outside is."""
    rng = np.random.default_rng(seed)
    ours, theirs = rng.normal(3, 1, n), rng.normal(0, 1, m)
    lower, estimate = shift(ours, theirs, 0.98)
    assert estimate == np.median(ours[:, None] - theirs)

    def p_value(moved: float) -> float:
        test = mannwhitneyu(ours - moved, theirs, alternative="greater", use_continuity=False, method="asymptotic")
        return float(test.pvalue)

    assert p_value(lower - 1e-9) <= 0.01 < p_value(lower + 1e-9)


def test_a_handful_of_values_has_no_interval() -> None:
    assert shift(np.array([5.0]), np.array([1.0, 2.0]), 0.98)[0] == -np.inf


def test_all_the_named_settings_are_judged() -> None:
    names = [rule.name for rule in RIVALS]
    assert len(set(names)) == len(names) == 8
