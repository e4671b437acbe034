from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.comparison import Comparison
from proxy.slices import NONE, OTHER, places_of
from proxy.snapshot import ModelRoute, Origin, Slice, Target
from proxy.window import Window, decode_window, encode_window, merge, window_of

COUNTRY, TIER = Slice("country", "header", "x-country", most=2), Slice("tier", "json", "customer.tier")
ROUTE = ModelRoute("m", "/", Target("1", (Origin("h", 1),)), slices=(COUNTRY, TIER))


def test_a_request_has_one_place_in_each_slice() -> None:
    fields = [(b"x-country", b"BR")]
    assert places_of(ROUTE.slices, fields, b'{"customer": {"tier": "gold"}}') == (("country", "BR"), ("tier", "gold"))
    assert places_of(ROUTE.slices, [], b'{"customer": {}}') == (("country", NONE), ("tier", NONE))
    assert places_of(ROUTE.slices, [], b"{") == (("country", NONE), ("tier", NONE))
    assert places_of((TIER,), [], b'{"customer": {"tier": true}}') == (("tier", "true"),)
    assert places_of((TIER,), [], b'{"customer": {"tier": 3}}') == (("tier", "3"),)
    assert places_of((TIER,), [], b'{"customer": {"tier": [1]}}') == (("tier", NONE),)
    assert places_of((TIER,), [], b'{"a": "%b"}' % (b"x" * 300_000)) == (("tier", OTHER),)
    assert places_of((COUNTRY,), [(b"x-country", b"x" * 50)], b"") == (("country", OTHER),)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_request_has_to_be_feared(value: bytes, body: bytes) -> None:
    for _, found in places_of(ROUTE.slices, [(b"x-country", value)], body):
        assert found
        assert found.isprintable()


def test_what_is_seen_of_a_request_is_seen_of_its_slices_too_and_values_are_capped() -> None:
    window = Window()
    for country in ("BR", "DE", "US", "FR"):
        places = (("country", country), ("tier", "gold"))
        window.answers("champion", ROUTE, places).observe(200, 0.1)
        window.answers("candidate_shadow", ROUTE, places).observe(500, 0.2)
        window.pair(Comparison("label", rows=1, rows_disagreed=1), ROUTE, places)
    assert set(window.slices["country"]) == {"BR", "DE", OTHER}
    other, gold = window.slices["country"][OTHER], window.slices["tier"]["gold"]
    assert (other.champion.answers, other.candidate.failures, other.compared, other.disagreed) == (2, 2, 2, 2)
    assert (gold.champion.answers, gold.candidate.answers, window_of(gold).agreement.disagreed) == (4, 4, 4)
    assert (window.champion.answers, window.agreement.compared) == (4, 4)
    assert decode_window(encode_window(window)) == window


def test_slices_merge_by_their_values() -> None:
    one, other = Window(), Window()
    one.answers("champion", ROUTE, (("country", "BR"), ("tier", "gold"))).observe(200, 0.1)
    other.answers("champion", ROUTE, (("country", "BR"), ("tier", "blue"))).observe(200, 0.1)
    both = merge(one, other)
    assert both.slices["country"]["BR"].champion.answers == 2
    assert set(both.slices["tier"]) == {"gold", "blue"}
    assert merge(both, Window()) == both


def test_without_slices_a_lane_is_all_there_is() -> None:
    window = Window()
    assert window.answers("champion", ROUTE, ()) is window.champion
