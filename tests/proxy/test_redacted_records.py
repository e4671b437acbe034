"""What is marked stands nowhere in a record, in whatever way it came."""

from __future__ import annotations

import gzip
import json
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.comparison import Answer, Comparison
from proxy.disagreements import Disagreement, Ranked, Request, recorded, require_lawful
from proxy.redaction import LARGEST
from proxy.redaction.hiding import SHORTEST
from tests.proxy.test_disagreements import JSON, route

CANARY = "canary@x.org"
ASKED = {"customer": {"email": CANARY}}
STREAM = [(b"content-type", b"text/event-stream")]
FINE = Answer(200, JSON, b'{"predictions":[1]}')
GZIPPED = (b"content-encoding", b"gzip")
UNKNOWN = "[withheld: as the request is, whose values are not known]"


def record(
    request: Request, answer: Answer, champion: Answer = FINE, fields: tuple[str, ...] = ("customer.email",)
) -> Disagreement:
    marked = route(fields=fields, headers=("x-customer",), max_bytes=64 * 1024)
    made = recorded(Ranked("w", "label", 1, 1), Comparison("label"), marked, "champion", request, champion, answer)
    require_lawful(made)
    return made


def asking(document: object, fields: bytes = b"", target: bytes = b"/invocations") -> Request:
    return Request("POST", target, fields, json.dumps(document).encode())


def answering(document: object) -> Answer:
    return Answer(200, JSON, json.dumps(document).encode())


def streaming(*events: object) -> Answer:
    return Answer(200, STREAM, "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode())


def saying(*words: str) -> list[object]:
    chunks = [{"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in words]
    return [*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


ECHO = answering({"predictions": [0], "again": CANARY})


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (b"content-type: text/csv\r\n", f"email\n{CANARY}\n".encode()),
        (b"", json.dumps(ASKED | {"padding": "x" * LARGEST}).encode()),
        (b"content-encoding: gzip\r\n", gzip.compress(json.dumps(ASKED | {"padding": "x" * LARGEST}).encode())),
        (b"content-encoding: gzip\r\n", b"no gzip"),
        (b"content-encoding: rot13\r\n", b"pnanel@k.bet"),
        (b"inference-header-content-length: 2\r\n", b"{}" + CANARY.encode()),
        (b"", b'{"customer":{"email":' + b"[" * 5000 + f'"{CANARY}"'.encode() + b"]" * 5000 + b"}}"),
    ],
    ids=["csv", "large", "large in gzip", "damaged", "unknown", "binary", "deep"],
)
def test_where_the_request_is_withheld_so_is_what_may_repeat_it(fields: bytes, body: bytes) -> None:
    told = fields + f"x-request-id: r-7\r\nx-user: {CANARY}\r\n".encode()
    made = record(Request("POST", f"/users/{CANARY}".encode(), told, body), ECHO, Answer(400, [], CANARY.encode()))
    assert CANARY not in str(made)
    assert made.request.startswith("[withheld: ")
    assert (made.champion.body, made.candidate.body, made.path) == (UNKNOWN,) * 3
    assert made.request_id == "r-7"
    assert "x-user" not in made.headers


def test_a_request_in_gzip_is_looked_through_as_any_other() -> None:
    body = gzip.compress(json.dumps(ASKED).encode())
    made = record(Request("POST", b"/", b"content-encoding: gzip\r\n", body), ECHO)
    assert made.request == '{"customer":{"email":"[redacted]"}}'
    assert made.candidate.body == '{"predictions":[0],"again":"[redacted]"}'


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, [*JSON, GZIPPED], gzip.compress(json.dumps(ASKED | {"score": 0.4}).encode())),
        Answer(200, JSON, b"\n " + json.dumps(ASKED | {"score": 0.4}).encode()),
        Answer(422, [*JSON, GZIPPED], gzip.compress(json.dumps(ASKED | {"score": 0.4}).encode())),
    ],
    ids=["gzip", "white space", "rejection"],
)
def test_marked_fields_of_an_answer_are_found_however_it_is_written(answer: Answer) -> None:
    made = record(asking({"rows": [1]}), answer)
    assert made.candidate.body == '{"customer":{"email":"[redacted]"},"score":0.4}'


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        ("**.content", streaming(*saying("canary", "@x.org"))),
        ("email", streaming({"email": CANARY})),
        ("email", streaming(*saying("hello"), {"choices": [], "email": CANARY})),
        ("user", streaming({"token": "canary"}, {"token": "@x.org"})),
        ("user", Answer(200, STREAM, b"data: email=canary@x.org\n\n")),
        ("user", Answer(200, [(b"content-type", b"text/plain")], CANARY.encode())),
        ("outputs.email", Answer(200, [(b"inference-header-content-length", b"2")], b"{}\ndata: canary@x.org\n")),
    ],
)
def test_what_is_no_json_is_withheld_where_a_mark_may_lead_into_it(field: str, answer: Answer) -> None:
    made = record(asking({"rows": [1]}), answer, fields=(field,))
    assert made.candidate.body.startswith("[withheld: no JSON")


def test_a_stream_without_marked_fields_is_kept_joined_and_a_value_in_pieces_is_found() -> None:
    made = record(asking(ASKED), streaming(*saying("to can", "ary@", "x.org")))
    assert made.candidate.body == '{"predictions":["to [redacted]"]}'


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        (f"x-user: {CANARY}\r\n".encode(), f"/users/{CANARY}/score".encode()),
        (f"x-user: mail={quote(CANARY)}\r\n".encode(), f"/users/{quote(CANARY)}/score?q={quote(CANARY)}".encode()),
        (f"x-request-id: a%0A{CANARY}\r\n".encode(), b"/users/%63anary@x.org/score"),
    ],
)
def test_values_of_the_body_are_taken_out_of_headers_and_path(fields: bytes, target: bytes) -> None:
    made = record(asking(ASKED, fields, target), FINE)
    assert made.path == "/users/[redacted]/score"
    assert CANARY not in str(made)
    assert quote(CANARY) not in str(made)


def test_values_of_an_answer_are_taken_out_of_all_that_came_before_it() -> None:
    request = asking({"rows": [CANARY]}, f"x-user: {CANARY}\r\n".encode(), f"/{CANARY}".encode())
    made = record(request, answering(ASKED), ECHO)
    assert CANARY not in str(made)
    assert made.champion.body == '{"predictions":[0],"again":"[redacted]"}'


@pytest.mark.parametrize("name", ["Zoë Müller", 'Zoë "Z"\tMüller', "C:\\zoë"])
def test_a_value_that_is_written_in_escapes_is_found(name: str) -> None:
    request = Request("POST", b"/", f"x-user: {name}\r\n".encode(), json.dumps({"customer": {"email": name}}).encode())
    echoes = {"plain": name, "body": request.body.decode(), "field": name.encode().decode("latin-1")}
    made = record(request, answering(echoes), answering({"n": json.dumps(echoes), "url": quote(name, safe="")}))
    for told in (made.headers["x-user"], made.champion.body, made.candidate.body):
        assert "zo" not in told.lower()


@pytest.mark.parametrize(
    ("field", "asked", "answered"),
    [
        ("users", {"users": {CANARY: 1}}, {"predictions": [{CANARY: 0.5}]}),
        ("id", {"id": 123456789.0}, {"predictions": [123456789]}),
        ("id", {"id": 123456789}, {"predictions": [123456789.0]}),
        ("id", {"id": "123456789"}, {"predictions": [123456789]}),
    ],
)
def test_a_value_is_found_as_a_key_and_in_either_spelling_of_a_number(
    field: str, asked: object, answered: object
) -> None:
    made = record(asking(asked), answering(answered), fields=(field,))
    assert CANARY not in str(made)
    assert "123456789" not in str(made)


def spelled(value: str | float) -> str:
    return value if isinstance(value, str) else json.dumps(value)


SCALARS = st.one_of(
    st.text('01ab@"\\/%. é中\n', min_size=SHORTEST, max_size=9),
    st.integers(1000),
    st.floats(1e-6, 1e30).filter(lambda number: len(spelled(number)) >= SHORTEST),
)


def strings_of(value: object) -> list[str]:
    """Keys and scalars of a document, as text."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *strings_of(item))]
    if isinstance(value, list):
        return [text for item in value for text in strings_of(item)]
    return [value if isinstance(value, str) else json.dumps(value)]


@given(
    SCALARS, SCALARS, st.booleans(), st.sampled_from(["customer.email", "customer", "**.email", "*.email"]), st.data()
)
def test_no_marked_value_is_anywhere_in_the_record(
    value: str | float, other: str | float, zipped: bool, field: str, data: st.DataObject
) -> None:
    text = spelled(value)
    echoes = data.draw(st.recursive(
        st.sampled_from([value, text, f"x{text}y", json.dumps({"email": value}), quote(text, safe=""), 0.5, None]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["note", "p", text]), inner),
        max_leaves=6,
    ))  # fmt: skip
    request = asking(
        {"customer": {"email": value, "age": other}, "again": echoes},
        f"x-user: {quote(text)}\r\n".encode(),
        f"/users/{quote(text, safe='')}".encode(),
    )
    body = json.dumps({"predictions": echoes}, ensure_ascii=False).encode()
    answer = Answer(200, [*JSON, GZIPPED], gzip.compress(body)) if zipped else Answer(200, JSON, body)
    made = record(request, answer, streaming(*saying(f"a {text[:2]}", f"{text[2:]} b")), fields=(field,))
    bodies = [made.request, made.champion.body, made.candidate.body]
    told = [each for each in bodies if each.startswith("[withheld")]
    told += [part for each in bodies if each not in told for part in strings_of(msgspec.json.decode(each))]
    assert [part for part in (made.path, *made.headers.values(), *told) if text in part] == []


def test_thousands_of_values_are_looked_for_in_one_pass() -> None:
    marked = [{"id": 10_000_000 + 7 * number} for number in range(3000)]
    made = record(asking({"rows": marked}), answering({"predictions": [*range(3000), 10_000_007]}), fields=("rows.id",))
    assert made.candidate.body.endswith('2999,"[redacted]"]}')
