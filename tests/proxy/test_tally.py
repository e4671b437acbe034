from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.comparison import Comparison
from proxy.tally import AgreementTally, LaneTally
from proxy.window import Window, merge
from tests.strategies import comparisons, windows


@given(st.lists(st.integers(200, 599)), st.lists(st.sampled_from(["connect", "timeout"])))
def test_a_lane_counts_every_answer_once(statuses: list[int], failures: list[str]) -> None:
    lane = LaneTally()
    for status in statuses:
        lane.observe(status, 0.01)
    for code in failures:
        lane.observe_failure(code, 0.01)
    assert lane.answers == lane.latency.total == len(statuses) + len(failures)
    assert sum(lane.statuses.values()) == len(statuses)
    assert lane.failures == len(failures) + sum(status >= 500 for status in statuses)


@given(st.lists(comparisons))
def test_agreement_counts_every_pair_once(drawn: list[Comparison]) -> None:
    tally = AgreementTally()
    for comparison in drawn:
        tally.observe(comparison)
    assert tally.compared + sum(tally.skipped.values()) == len(drawn)
    assert tally.disagreed == sum(tally.findings.values()) <= tally.compared
    assert tally.rows == sum(one.rows for one in drawn if not one.skipped)


@given(st.lists(comparisons))
def test_coverage_is_the_share_of_what_could_be_compared(drawn: list[Comparison]) -> None:
    tally = AgreementTally()
    for comparison in [*drawn, Comparison(skipped="not_both_succeeded")]:
        tally.observe(comparison)
    assert tally.comparable == len(drawn)
    assert tally.coverage == (tally.compared / len(drawn) if drawn else None)
    assert tally.gaps.total == tally.compared


@given(windows(), windows())
def test_every_copy_that_was_offered_is_sent_or_dropped(a: Window, b: Window) -> None:
    tally = merge(a, b).shadow
    assert tally.offered == tally.sent + sum(tally.dropped.values())
