from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.units import Units


@given(st.lists(st.binary(min_size=1, max_size=3), max_size=30))
def test_a_unit_is_new_once(units: list[bytes]) -> None:
    """(Two of these few in one slot of a million would be a surprise, and not a fault.)"""
    seen = Units()
    assert sum(map(seen.first, units)) <= len(set(units))
    assert not any(map(seen.first, units))


def test_hardly_any_of_many_units_is_overlooked() -> None:
    seen = Units()
    counted = sum(seen.first(b"user-%d" % number) for number in range(20_000))
    assert 19_500 < counted <= 20_000
