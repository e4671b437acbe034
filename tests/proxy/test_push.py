from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.comparison import Comparison
from proxy.outputs import OutputTally
from proxy.push import Push, Sample, decode_push, encode_push
from proxy.window import Window
from tests.strategies import names, windows

samples = st.builds(Sample, names, st.integers(0, 1 << 40), windows())
pushes = st.builds(Push, names, st.integers(0, 1 << 40), st.lists(samples, max_size=3).map(tuple))


@given(pushes)
def test_the_codec_gives_back_the_push(push: Push) -> None:
    assert decode_push(encode_push(push)) == push


@given(st.binary())
def test_what_is_no_push_raises_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_push(raw)


def test_outputs_that_contradict_themselves_are_no_push() -> None:
    window = Window(champion_outputs={"": OutputTally(numbers={1: 1}, least=2.0, most=1.0)})
    with pytest.raises(ValueError, match="least is above its most"):
        decode_push(encode_push(Push("w", 1, (Sample("m", 1, window),))))


def test_gaps_of_any_size_can_be_pushed() -> None:
    window = Window()
    for gap in (0.0, 1e-9, 0.02, 1e300):
        window.agreement.observe(Comparison(rows=1, largest_gap=gap))
    (sample,) = decode_push(encode_push(Push("w", 1, (Sample("m", 1, window),)))).samples
    assert sample.window == window
    assert sample.window.agreement.gaps.above(0.019) == 2
