"""What is marked to be taken out of a request goes into no window, as a name of what was answered to it."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn._types import ASGISendCallable

from proxy.anonymity import Names, veil
from proxy.comparison import Answer
from proxy.helper.frames import framed
from proxy.outputs import MOST_VALUES, OTHER
from proxy.pairs import Pair, look_at
from proxy.snapshot import AgreementSpec, RecordPolicy
from tests.servers import JSON, Seen, eventually, predicting, reply
from tests.strategies import json_values
from tests.workers import Scene

NAME = "Renée O'Müller"
KEPT = RecordPolicy(fields=("customer.name",), headers=("x-user",))
ASKED = {"customer": {"name": NAME}, "amounts": [17, 18]}
PLAIN = json.dumps(ASKED).encode()
HARMLESS = b'{"amounts": [17, 18]}'
JSON_FIELD = (b"content-type", b"application/json")
ANSWER = Answer(200, [JSON_FIELD], b'{"predictions": ["yes"]}')


def told(scene: Scene, *predictions: object, body: bytes, **changes: object) -> dict[str, dict[str, int]]:
    """The labels of each column, after one request to which both versions answer the same."""
    scene.champion.handler = scene.candidate.handler = predicting(*predictions)
    scene.shadowed().routed(**{"record": KEPT, **changes}).post(body=body)
    scene.settled(1)
    window = scene.window
    assert window.champion_outputs == window.candidate_outputs
    return {column: tally.labels for column, tally in window.champion_outputs.items()}


@pytest.mark.parametrize(
    "body",
    [
        PLAIN,
        json.dumps(ASKED, ensure_ascii=False).encode(),
        PLAIN.replace(rb"\u00e9", rb"\u00E9").replace(b"'", rb"\u0027"),
        PLAIN.lower(),
        b'{"customer": {"name": "%s", "name": "x"}}' % NAME.encode(),
        gzip.compress(PLAIN),
        b"name=Ren%C3%A9e+O%27M%C3%BCller",
        b'{"instances": [{"b64": "UmVuw6llIE8nTcO8bGxlcg=="}]}',
        b'{"padding": "%s", "name": "%s"}' % (b"x" * 20_000, NAME.encode()),
    ],
    ids=["ASCII", "UTF-8", "other escapes", "lower case", "a key twice", "compressed", "a form", "base64", "long"],
)
def test_a_label_that_the_request_may_hold_is_counted_without_its_name(scene: Scene, body: bytes) -> None:
    assert told(scene, NAME, "yes", body=body) == {"": {OTHER: 1, "yes": 1}}


@pytest.mark.parametrize(
    ("path", "field"),
    [("/invocations", "Ren%C3%A9e%20O'M%C3%BCller"), ("/invocations?user=Ren%C3%A9e+O%27M%C3%BCller", "somebody")],
    ids=["header", "query"],
)
def test_what_the_head_holds_is_not_told_either(scene: Scene, path: str, field: str) -> None:
    scene.champion.handler = scene.candidate.handler = predicting(NAME)
    scene.shadowed().routed(record=KEPT).post(path, ("x-user", field), body=HARMLESS)
    scene.settled(1)
    assert scene.window.champion_outputs[""].labels == {OTHER: 1}


def test_a_label_in_which_a_value_stands_is_not_told(scene: Scene) -> None:
    assert told(scene, f"Dear {NAME}", "Dear Sir", body=PLAIN) == {"": {OTHER: 1, "Dear Sir": 1}}


def test_a_columns_name_is_a_name(scene: Scene) -> None:
    asked = json.dumps({"customer": {"name": "canary@x.org"}}).encode()
    assert told(scene, {"canary@x.org": "no", "y": "yes"}, body=asked) == {OTHER: {"no": 1}, "y": {"yes": 1}}


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        ("predictions.ssn", {"predictions": [{"ssn": "123-45-6789"}]}),
        ("**.ssn", {"predictions": [{"ssn": "123-45-6789", "y": "fine"}]}),
        ("predictions", {"predictions": ["123-45-6789"]}),
        ("*.0", {"predictions": ["123-45-6789"]}),
        (
            "outputs.numéro",
            {"outputs": [{"name": "numéro", "shape": [1], "datatype": "BYTES", "data": ["123-45-6789"]}]},
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_beside_a_marked_field_of_an_answer_no_name_is_told(
    scene: Scene, field: str, answer: object, encoding: str
) -> None:
    body = json.dumps(answer).encode()
    fields = [JSON, ("content-encoding", encoding)] if encoding else [JSON]

    async def answering(seen: Seen, send: ASGISendCallable) -> None:
        await reply(send, gzip.compress(body) if encoding else body, fields=fields)

    scene.champion.handler = scene.candidate.handler = answering
    scene.shadowed().routed(record=RecordPolicy(fields=(field,))).post(body=HARMLESS)
    eventually(lambda: scene.window.agreement.compared == 1)  # in the helper, where it is encoded
    found = scene.window.champion_outputs
    assert {label for tally in found.values() for label in tally.labels} == {OTHER}


def test_names_that_the_request_does_not_hold_are_told(scene: Scene) -> None:
    found = told(scene, {"species": "setosa", "place": [0.1, 0.9]}, body=PLAIN)
    assert found == {"species": {"setosa": 1}, "place": {"place 1": 1}}


def test_classes_of_the_configuration_are_told_whatever_was_asked(scene: Scene) -> None:
    known = AgreementSpec(kind="label", classes=("approved", "refused"))
    assert told(scene, "approved", "waiting", agreement=known, body=b"\0") == {"": {"approved": 1, OTHER: 1}}


def test_while_nothing_is_marked_every_name_is_told(scene: Scene) -> None:
    assert told(scene, NAME, record=RecordPolicy(), body=PLAIN) == {"": {NAME: 1}}


def test_numbers_are_told_by_their_buckets_alone(scene: Scene) -> None:
    """The least and the most would be values of somebody's."""
    told(scene, 73_250.5, 73_251.5, body=PLAIN)
    tally = scene.window.champion_outputs[""]
    assert (tally.counted, tally.least, tally.most) == (2, None, None)


@given(st.text(min_size=4, max_size=20), st.booleans(), json_values)
def test_no_text_of_a_request_is_told_whatever_it_is(text: str, escaped: bool, beside: object) -> None:
    body = json.dumps({"beside": beside, "texts": [text]}, ensure_ascii=escaped).encode(errors="replace")
    names = Names(veil(b"a: b\r\n", body, ("x",)), ANSWER, ANSWER, AgreementSpec(), b"/")
    assert not names.may_tell(text)
    assert not names.may_tell(f"<{text}>")


def test_a_long_request_is_neither_searched_nor_sent_to_the_helper() -> None:
    """Of four megabytes the search for each of 512 labels would take most of a second."""
    pair = Pair(ANSWER, ANSWER, AgreementSpec(), b"/", veil(b"a: b\r\n", b"x" * 4_000_000, ("x",)))
    assert pair.size == 2 * len(ANSWER.body or b"")
    assert sum(map(len, framed(pair, True))) < 2000


def test_what_is_searched_is_part_of_a_pairs_size_and_bounded() -> None:
    rows = [{f"c{at}": f"label {row} {at}" for at in range(8)} for row in range(64)]
    answer = Answer(200, [JSON_FIELD], json.dumps({"predictions": rows}).encode())
    pair = Pair(answer, answer, AgreementSpec(), b"/", veil(b"", b"[" + b" " * 10_000 + b"]", ()))
    assert pair.size == 2 * len(answer.body or b"") + 10_002
    found = look_at(pair, True, float)
    assert found.outputs is not None
    assert [sum(tally.counted for tally in arm.values()) for arm in found.outputs] == [MOST_VALUES, MOST_VALUES]


def test_how_many_names_one_arm_has_changes_nothing_for_the_other() -> None:
    """Else one distribution in both would look like two."""
    answers = [
        json.dumps({"predictions": [f"{arm} {row}" for row in range(64)]}).encode() for arm in ("ours", "theirs")
    ]
    champion, candidate = (Answer(200, [JSON_FIELD], body) for body in answers)
    found = look_at(Pair(champion, candidate, AgreementSpec(), b"/", veil(b"", b"{}", ())), True, float)
    assert found.outputs is not None
    assert [OTHER in arm[""].labels for arm in found.outputs] == [False, False]
