from __future__ import annotations

from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from proxy.comparison import Comparison
from proxy.tally import LANES
from proxy.window import Window, decode_window, encode_window, merge, merge_all
from tests.strategies import windows


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
def test_the_order_of_windows_never_matters(drawn: list[Window], shuffling: Random) -> None:
    shuffled = sorted(drawn, key=lambda _: shuffling.random())
    assert merge_all(shuffled) == merge_all(drawn)


@given(windows())
def test_the_codec_gives_back_the_window(window: Window) -> None:
    assert decode_window(encode_window(window)) == window


@given(windows())
def test_a_window_from_before_clients_that_left_were_counted_is_read_as_one_without_any(window: Window) -> None:
    document = msgspec.json.decode(encode_window(window))
    for lane in LANES:
        del document[lane]["abandoned"]
    read = decode_window(msgspec.json.encode(document))
    assert [read.lane(lane).abandoned.total for lane in LANES] == [0] * len(LANES)
    assert [read.lane(lane).latency for lane in LANES] == [window.lane(lane).latency for lane in LANES]
