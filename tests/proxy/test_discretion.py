from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.discretion import HIDDEN, discreet

CANARIES = (
    "pst_3jWm0hunter2hunter2hunter2hunter2hunter2",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.c2lnbmF0dXJlaHVudGVyMg",
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"the token {CANARIES[0]} is old", f"the token {HIDDEN} is old"),
        (f"Authorization: Bearer {CANARIES[1]}", f"Authorization: Bearer {HIDDEN}"),
        ("authorization: basic YWRhOmh1bnRlcjI=", f"authorization: basic {HIDDEN}"),
        ("postgresql+psycopg://ada:hunter2@db/penstock", f"postgresql+psycopg://ada:{HIDDEN}@db/penstock"),
        ("password=hunter2 host=db", f"password={HIDDEN} host=db"),
        ("PGPASSWORD: hunter2", f"PGPASSWORD: {HIDDEN}"),
        ("https://h/x?api_key=hunter2&a=1", f"https://h/x?api_key={HIDDEN}&a=1"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, told: str) -> None:
    assert discreet(text) == told
    assert "hunter2" not in discreet(text)


@pytest.mark.parametrize(
    "text",
    [
        "gate agreement: 71.95 % agreement, 23 differing of 82",
        "expected `Authorization: Bearer TOKEN`",
        "http://127.0.0.1:5001 keeps failing: passed over for 1 s",
        "access.tokens: the token of ada is not there: set ADA_TOKEN in the control plane's environment",
        "a basic configuration with a bearer instrument",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert discreet(text) == text


@given(
    before=st.text(max_size=30), after=st.text(st.characters(blacklist_categories=["L", "N", "Pc", "Pd"]), max_size=30)
)
def test_wherever_a_token_stands_it_is_hidden(before: str, after: str) -> None:
    for canary in CANARIES:
        assert canary not in discreet(f"{before} {canary}{after}")
