from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.redaction import LARGEST, REDACTED, Redaction
from tests.strategies import json_values

MOST = 1 << 20


def kept(redaction: Redaction, body: bytes, most: int = MOST) -> str:
    draft = redaction.body(body)
    return redaction.hiding().written(draft, most)


def test_what_was_taken_out_of_the_request_is_taken_out_of_the_answers_too() -> None:
    redaction = Redaction(["**.ssn"])
    redaction.body(b'{"instances": [{"ssn": "078-05-1120", "age": 41}]}')
    assert kept(redaction, b'{"error": "bad row: 078-05-1120, 41"}') == '{"error":"bad row: [redacted], 41"}'
    assert redaction.hiding().text("/v1/customers/078-05-1120") == "/v1/customers/[redacted]"


def test_a_secret_is_found_in_every_spelling_of_json() -> None:
    redaction = Redaction(["name"])
    redaction.body('{"name": "Zoë \\"Z\\" Müller"}'.encode())
    for echo in (json.dumps('Zoë "Z" Müller'), json.dumps('Zoë "Z" Müller', ensure_ascii=False), 'Zoë "Z" Müller'):
        assert "ller" not in redaction.hiding().text(f"failed on {echo}")


def test_headers_are_taken_out_by_name_and_credentials_always() -> None:
    redaction = Redaction(headers=["x-user-id"])
    section = (
        b"authorization: Bearer s3cr3t-t0ken-77\r\ncookie: session=abcdef012345; theme=dark\r\n"
        b"x-user-id: jane.doe\r\naccept: */*\r\nx-request-id: r-1\r\n"
    )
    assert redaction.headers(section) == {
        "authorization": REDACTED,
        "cookie": REDACTED,
        "x-user-id": REDACTED,
        "accept": "*/*",
        "x-request-id": "r-1",
    }
    told = kept(redaction, b'{"message": "jane.doe with s3cr3t-t0ken-77 and abcdef012345"}')
    assert told == '{"message":"[redacted] with [redacted] and [redacted]"}'


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("key=t0k3n-of-jane", "t0k3n-of-jane"),
        ("a=1&key=t0k3n%2Dof%2Djane", "t0k3n-of-jane"),
        ("t0k3n+of+jane", "t0k3n of jane"),
        ("t0k3n-of-jane=", "t0k3n-of-jane"),
    ],
)
def test_what_a_query_holds_is_told_nowhere(query: str, value: str) -> None:
    redaction = Redaction()
    assert redaction.path(f"/score?{query}".encode()) == "/score"
    for echo in (query, value):
        assert "jane" not in redaction.hiding().text(f"asked for {echo}")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"ssn,age\n078-05-1120,41\n", "no JSON, so nothing can be redacted"),
        (b'{"ssn": "078-05-1120"', "no JSON, so nothing can be redacted"),
        (b"\x00\x01078-05-1120", "no JSON, so nothing can be redacted"),
        (json.dumps({"ssn": "078-05-1120", "rest": "x" * LARGEST}).encode(), "too large to redact"),
    ],
    ids=["csv", "broken", "binary", "large"],
)
def test_what_cannot_be_looked_through_is_withheld(body: bytes, why: str) -> None:
    assert kept(Redaction(["ssn"]), body) == f"[withheld: {why}, {len(body)} bytes]"


def test_without_marked_fields_any_text_is_kept_and_bytes_are_not() -> None:
    assert kept(Redaction(), b"ssn,age\n1,41\n") == "ssn,age\n1,41\n"
    assert kept(Redaction(), b"\xff\xfe\x00") == "[withheld: binary, 3 bytes]"
    assert kept(Redaction(), b"") == ""


def test_a_long_text_is_cut_after_what_is_marked_was_taken_out() -> None:
    body = json.dumps({"text": "a" * 100, "ssn": "078-05-1120"}).encode()
    assert kept(Redaction(["ssn"]), body, 20) == '{"text":"aaaaaaaaaaa [cut: 110 bytes more]'
    assert kept(Redaction(), "é".encode() * 10, 3) == "é [cut: 17 bytes more]"


@given(json_values, st.sampled_from(["a", "**.a", "*.b", "a.*", "0", "**"]), st.integers(0, 200))
def test_no_document_has_to_be_feared(document: object, field: str, most: int) -> None:
    kept(Redaction([field]), json.dumps(document).encode(), most).encode()


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_have_to_be_feared(raw: bytes, marked: bool) -> None:
    redaction = Redaction(["a"] if marked else [])
    redaction.headers(raw)
    kept(redaction, raw, 50).encode()


def test_nesting_beyond_reason_is_withheld() -> None:
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    assert kept(Redaction(["**.b"]), deep).startswith(("[withheld", '{"a"'))
