from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.budget import STRETCH, CpuBudget, SpareTime, ceiling


@given(st.floats(0.01, 1), st.lists(st.tuples(st.floats(0, 0.05), st.floats(0.0001, 0.02)), min_size=50, max_size=200))
def test_what_is_spent_keeps_to_the_share(share: float, pairs: list[tuple[float, float]]) -> None:
    """Whatever comes when: no more than the share of the time that passed, a second in advance, and one pair."""
    budget, now, spent, longest = CpuBudget(), 0.0, 0.0, 0.0
    for pause, cost in pairs:
        now += pause
        if budget.allows(share, now):
            now += cost
            budget.spend(cost)
            spent += cost
            longest = max(longest, cost)
    assert spent <= share * (now + 1) + longest + 1e-9


def test_an_eager_spender_gets_nearly_the_whole_share() -> None:
    budget, now, spent = CpuBudget(), 0.0, 0.0
    while now < 60:
        now += 0.001
        if budget.allows(0.2, now):
            now += 0.001
            budget.spend(0.001)
            spent += 0.001
    assert 0.19 < spent / now < 0.22


def test_no_share_allows_nothing_and_what_is_owed_is_earned() -> None:
    budget = CpuBudget()
    assert not budget.allows(0, 5.0)
    budget.spend(10.0)
    assert not budget.allows(0.5, 6.0)
    assert budget.allows(0.5, 26.0)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_ceiling_is_between_the_half_and_the_whole_of_its_share(share: float, spare: float) -> None:
    allowed = ceiling(share, spare)
    assert share / 2 <= allowed <= share
    assert allowed <= ceiling(share, min(1.0, spare + 0.1)), "more time to spare never allows less"
    if spare >= share:
        assert allowed == share
    if spare == 0:
        assert allowed == share / 2


def test_spare_time_is_that_of_the_newest_stretch() -> None:
    spare = SpareTime()
    assert spare.share == 1.0, "before anything is known"
    assert spare.due(50.0)
    spare.observe(50.0, 7.0)
    assert spare.share == 1.0, "one look tells of no stretch"
    assert not spare.due(50.0 + STRETCH / 2)
    assert spare.due(50.2)
    spare.observe(50.2, 7.15)
    assert 0.2499 < spare.share < 0.2501
    spare.observe(50.4, 7.351)
    assert spare.share == 0.0, "clocks that disagree a little tell of no debt"
