from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from proxy.comparison.values import Walk
from proxy.snapshot import AgreementSpec, Kind

numbers = st.floats() | st.integers() | st.integers(-3, 3) | st.none() | st.booleans() | st.sampled_from(["a", "1"])
nearby = st.floats(-1e-3, 1e-3)
KINDS: list[Kind] = ["auto", "numeric", "probability", "json"]


@given(
    st.lists(st.tuples(numbers, numbers) | st.tuples(st.floats(0, 1), nearby).map(lambda at: (at[0], at[0] + at[1]))),
    st.sampled_from([0.0, 1e-3, 0.5, 1.0, 5.0]),
    st.sampled_from([0.0, 0.01]),
    st.sampled_from(KINDS),
)
@example([(2**60, 2**60 + 1)], 0.5, 0.0, "auto")
@example([(0.5, 0.5), (1, 2)], 0.5, 0.0, "auto")
@example([(0.499, 0.501)], 0.5, 0.0, "probability")
def test_the_short_way_for_numbers_finds_what_the_walk_finds(
    pairs: list[tuple[object, object]], absolute: float, relative: float, kind: Kind
) -> None:
    spec = AgreementSpec(relative=relative, absolute=absolute, kind=kind)
    champion, candidate = [a for a, _ in pairs], [b for _, b in pairs]
    short, walked = Walk.under(spec), Walk.under(spec)
    assert short.rows(champion, candidate) == walked._in_order(champion, candidate, whole=True)
    assert short.largest == walked.largest
    assert short.new_nan == walked.new_nan
    in_vectors = Walk.under(spec)
    in_order = walked._in_order(champion, candidate)[0]
    assert in_vectors.rows([champion], [candidate])[0] == walked.named(champion, candidate, in_order)
