from __future__ import annotations

from proxy.standing import PASSED_OVER_FIRST, PASSED_OVER_MOST, Standing


def failed(times: int, at: float = 0.0) -> Standing:
    standing = Standing(3)
    for _ in range(times):
        standing.fail(at)
    return standing


def test_so_many_failures_in_a_row_are_what_it_takes() -> None:
    assert not failed(2).passed_over(0.0)
    assert failed(3).passed_over(0.0)
    standing = failed(2)
    standing.recover()
    standing.fail(0.0)
    assert not standing.passed_over(0.0)


def test_when_its_time_is_over_one_at_a_time_finds_out() -> None:
    standing, over = failed(3), PASSED_OVER_FIRST
    assert not standing.passed_over(over)
    trial = standing.begin()
    assert (trial, standing.passed_over(over)) == (True, True)
    standing.end(trial)
    assert not standing.passed_over(over)


def test_each_failure_after_that_takes_twice_as_long_up_to_a_bound() -> None:
    standing, now, pauses = failed(2), 0.0, []
    for _ in range(8):
        pauses.append(standing.fail(now))
        now += pauses[-1]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert (pauses[0], pauses[-1]) == (PASSED_OVER_FIRST, PASSED_OVER_MOST)


def test_what_fails_while_it_is_passed_over_was_asked_before_and_makes_it_no_longer() -> None:
    standing = failed(3)
    assert standing.fail(PASSED_OVER_FIRST / 2) == 0.0
    assert not standing.passed_over(PASSED_OVER_FIRST)
