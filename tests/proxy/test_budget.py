from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.budget import CpuBudget


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
