from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.comparison import Comparison
from proxy.window import (
    AgreementTally,
    LaneTally,
    Push,
    Sample,
    Window,
    decode_push,
    decode_window,
    encode_push,
    encode_window,
    merge,
    merge_all,
)
from tests.strategies import comparisons, names, windows

samples = st.builds(Sample, names, st.integers(0, 1 << 40), windows())
pushes = st.builds(Push, names, st.integers(0, 1 << 40), st.lists(samples, max_size=3).map(tuple))


@given(windows(), windows(), windows())
def test_merging_is_associative(a: Window, b: Window, c: Window) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(windows(), windows())
def test_merging_is_commutative(a: Window, b: Window) -> None:
    assert merge(a, b) == merge(b, a)


@given(windows())
def test_the_empty_window_is_the_zero(a: Window) -> None:
    assert merge(a, Window()) == a == merge(Window(), a)


@given(windows(), windows())
def test_merging_changes_neither_side(a: Window, b: Window) -> None:
    before = encode_window(a), encode_window(b)
    merged = merge(a, b)
    merged.champion.observe(500, 1.0)
    merged.agreement.observe(Comparison("number"))
    merged.shadow.drop("bytes")
    assert (encode_window(a), encode_window(b)) == before


@given(st.lists(windows(), max_size=4), st.randoms())
def test_the_order_of_windows_never_matters(drawn: list[Window], shuffling: object) -> None:
    shuffled = sorted(drawn, key=lambda _: shuffling.random())  # type: ignore[attr-defined]
    assert merge_all(shuffled) == merge_all(drawn)


@given(windows())
def test_the_codec_gives_back_the_window(window: Window) -> None:
    assert decode_window(encode_window(window)) == window


@given(pushes)
def test_the_codec_gives_back_the_push(push: Push) -> None:
    assert decode_push(encode_push(push)) == push


@given(st.binary())
def test_what_is_no_push_raises_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_push(raw)


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


def test_gaps_of_any_size_can_be_pushed() -> None:
    window = Window()
    for gap in (0.0, 1e-9, 0.02, 1e300):
        window.agreement.observe(Comparison(rows=1, largest_gap=gap))
    (sample,) = decode_push(encode_push(Push("w", 1, (Sample("m", 1, window),)))).samples
    assert sample.window == window
    assert sample.window.agreement.gaps.above(0.019) == 2


@given(windows(), windows())
def test_every_copy_that_was_offered_is_sent_or_dropped(a: Window, b: Window) -> None:
    tally = merge(a, b).shadow
    assert tally.offered == tally.sent + sum(tally.dropped.values())
