"""Signatures side by side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gates.promotion.signatures import compare
from gates.promotion.versions import Column, Signature

names = st.sampled_from(["amount", "hour", "country", ""])
columns = st.lists(
    st.builds(Column, names, st.sampled_from(["double", "long"]), st.booleans()), max_size=4, unique_by=lambda c: c.name
)
signatures = st.builds(lambda i, o: Signature(tuple(i), tuple(o)), columns, columns)

AMOUNT = Column("amount", "double")


def fits(champion: Signature, candidate: Signature) -> bool:
    return all(fit.fits for fit in compare(champion, candidate))


@given(signatures)
def test_a_signature_fits_itself(signature: Signature) -> None:
    assert fits(signature, signature)


@given(signatures, signatures)
def test_every_column_of_either_is_told_once(champion: Signature, candidate: Signature) -> None:
    told = [(fit.side, fit.name) for fit in compare(champion, candidate)]
    assert len(told) == len(set(told))


def test_a_new_input_may_be_there_if_it_is_optional() -> None:
    champion = Signature((AMOUNT,))
    assert fits(champion, Signature((AMOUNT, Column("hour", "long", required=False))))
    assert not fits(champion, Signature((AMOUNT, Column("hour", "long"))))


def test_an_input_that_may_be_left_out_must_not_become_required() -> None:
    optional = Signature((Column("amount", "double", required=False),))
    assert not fits(optional, Signature((AMOUNT,)))
    assert fits(Signature((AMOUNT,)), optional)


def test_an_output_must_stay_as_it_is() -> None:
    champion = Signature((), (Column("", "long"),))
    (fit,) = compare(champion, Signature((), (Column("", "double"),)))
    assert not fit.fits
    assert str(fit) == "output 0: double, the champion's is long"
    assert not fits(champion, Signature((), (Column("", "long"), Column("score", "double"))))
    assert not fits(champion, Signature())
