from __future__ import annotations

import contextlib
import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats import Answer, AnsweredError, Predictions, Unfit, Unreadable, predictions
from proxy.snapshot import AgreementSpec, Format
from tests.strategies import json_values, specs

JSON = b"application/json"
AUTO = AgreementSpec()


def answer(body: bytes | str, content_type: bytes = JSON, *fields: tuple[bytes, bytes]) -> Answer:
    typed = [(b"content-type", content_type)] if content_type else []
    return Answer(200, [*typed, *fields], body.encode() if isinstance(body, str) else body)


def read(document: object, spec: AgreementSpec = AUTO, path: bytes = b"") -> Predictions:
    return predictions(answer(json.dumps(document)), spec, path)


def rows(document: object, format: Format = "auto", path: bytes = b"") -> list[object]:
    return list(read(document, AgreementSpec(format=format), path).rows)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('{"predictions": [1, 2.5]}', [1, 2.5]),
        ('{"predictions": [[1], [2]]}', [1, 2]),
        ('{"predictions": [{"0": 1}, {"price": 2}]}', [1, 2]),
        ('{"predictions": [[1, 2], {"a": 1, "b": 2}]}', [[1, 2], {"a": 1, "b": 2}]),
        ('{"predictions": [[1], [1, 2]]}', [[1], [1, 2]]),
        ('{"predictions": [{"a": 1}, {"a": 1, "b": 2}]}', [{"a": 1}, {"a": 1, "b": 2}]),
        ('{"predictions": [null, {"a": 1}]}', [None, 1]),
        ('{"predictions": "cat"}', ["cat"]),
        ('{"predictions": []}', []),
        ("[1, 2]", [1, 2]),
        ('{"label": "cat", "score": 0.5}', [{"label": "cat", "score": 0.5}]),
        ("7", [7]),
        ("null", [None]),
        ('{"predictions": [Infinity, -Infinity]}', [math.inf, -math.inf]),
        ('{"predictions": [{"b64": "Y2F0"}, {"b64": "not base64"}]}', ["cat", "not base64"]),
    ],
)
def test_the_rows_are_found(body: str, found: list[object]) -> None:
    assert list(predictions(answer(body), AUTO).rows) == found


def test_not_a_number_is_read_as_mlflow_writes_it() -> None:
    (row,) = predictions(answer('{"predictions": [NaN]}'), AUTO).rows
    assert isinstance(row, float)
    assert math.isnan(row)


V2 = {"model_name": "m", "outputs": [{"name": "y", "shape": [2, 1], "datatype": "FP32", "data": [1.5, 2.5]}]}
CHAT = {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}}]}
EMBEDDING = {"data": [{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": [1.0, 2.0]}]}


@pytest.mark.parametrize(
    ("document", "path", "found"),
    [
        ({"predictions": [1]}, b"/invocations", [1]),
        ({"predictions": [1]}, b"/v1/models/m:predict", [1]),
        ({"outputs": [[1], [2]]}, b"/v1/models/m:predict", [1, 2]),
        ({"outputs": {"a": [1, 2], "b": [[3], [4]]}}, b"/v1/models/m:predict", [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
        ({"outputs": [[1], [2]]}, b"/elsewhere", [{"outputs": [[1], [2]]}]),
        (V2, b"/v2/models/m/infer", [1.5, 2.5]),
        (V2, b"", [1.5, 2.5]),
        (CHAT, b"/v1/chat/completions", ["yes"]),
        (CHAT, b"/invocations", ["yes"]),
        (EMBEDDING, b"/v1/embeddings", [[1.0, 2.0], [3.0, 4.0]]),
        ({"data": [1, 2]}, b"", [{"data": [1, 2]}]),
    ],
    ids=str,
)
def test_a_format_is_known_by_path_and_shape(document: object, path: bytes, found: list[object]) -> None:
    assert rows(document, path=path) == found


@pytest.mark.parametrize(
    ("format", "document", "found"),
    [
        ("mlflow", {"predictions": [[1]]}, [1]),
        ("mlflow", {"free": 1, "form": 2}, [{"free": 1, "form": 2}]),
        ("kserve_v1", {"predictions": [1]}, [1]),
        ("tf_serving", {"outputs": [[1], [2]]}, [1, 2]),
        ("v2", V2, [1.5, 2.5]),
        ("openai", CHAT, ["yes"]),
        ("json", {"predictions": [1]}, [{"predictions": [1]}]),
        ("json", CHAT, [CHAT]),
    ],
)
def test_a_named_format_is_read_as_that(format: Format, document: object, found: list[object]) -> None:
    assert rows(document, format) == found


@pytest.mark.parametrize(
    ("format", "document"),
    [
        ("kserve_v1", {"outputs": [1]}),
        ("kserve_v1", [1]),
        ("tf_serving", {"result": 1}),
        ("v2", {"predictions": [1]}),
        ("openai", {"predictions": [1]}),
    ],
)
def test_a_named_format_is_asked_of_every_answer(format: Format, document: object) -> None:
    with pytest.raises(Unreadable, match=r"^no_predictions$"):
        rows(document, format)


def test_a_configured_path_leads_to_the_predictions() -> None:
    spec = AgreementSpec(format="json", path="result.scores")
    assert read({"result": {"scores": [[1], [2]]}}, spec).rows == [1, 2]
    assert read({"result": {"scores": None}}, spec).rows == (None,)
    documents: list[object] = [{"result": [1]}, {"result": {}}, [1], {}]
    for document in documents:
        with pytest.raises(Unreadable, match=r"^no_predictions$"):
            read(document, spec)


@pytest.mark.parametrize(
    "document",
    [
        {"error": "model not loaded"},
        {"error": {"message": "overloaded", "type": "server_error"}},
        {"error_code": "BAD_REQUEST", "message": "Encountered an unexpected error"},
    ],
    ids=str,
)
def test_an_error_inside_a_success_is_told_apart(document: object) -> None:
    with pytest.raises(AnsweredError, match=r"^error_in_200$"):
        read(document)


@pytest.mark.parametrize(
    "document", [{"error": 0.25}, {"error": ""}, {"error": None, "score": 1}, {"predictions": [1], "error": "none"}]
)
def test_a_field_named_error_need_not_be_one(document: object) -> None:
    assert read(document).rows


@pytest.mark.parametrize("content_type", [b"", JSON, b"Application/JSON; charset=utf-8", b"application/problem+json"])
def test_json_is_known_by_its_content_type(content_type: bytes) -> None:
    assert predictions(answer("[1]", content_type), AUTO).rows == [1]


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"1,2", b"text/csv", "not_json"),
        (b"", JSON, "malformed_json"),
        (b"{", JSON, "malformed_json"),
        (b'{"predictions": "\xff"}', JSON, "malformed_json"),
        (b"[" * 100_000, JSON, "malformed_json"),
        (b"1" * 10_000, JSON, "malformed_json"),
    ],
    ids=["csv", "empty", "cut", "not utf-8", "nested beyond reason", "more digits than any number"],
)
def test_what_cannot_be_read_says_why(body: bytes, content_type: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=f"^{reason}$"):
        predictions(answer(body, content_type), AUTO)


def test_fields_keep_their_names() -> None:
    spec = AgreementSpec(kind="json")
    assert read({"predictions": [{"approved": 1}, {"approved": 0}]}, spec).rows == [{"approved": 1}, {"approved": 0}]
    assert read([[1], [2]], spec).rows == [[1], [2]]


def test_what_is_to_be_ignored_stands_in_no_row() -> None:
    spec = AgreementSpec(ignore=("ts", "meta.*.at"))
    assert read({"predictions": [{"p": 0.5, "ts": 1}]}, spec).rows == [0.5]
    assert read({"ts": 1, "meta": {"a": {"at": 1, "b": 2}}}, spec).rows == ({"meta": {"a": {"b": 2}}},)


def test_what_is_too_deep_to_look_for_what_is_to_be_ignored_says_so() -> None:
    deep = answer('{"predictions": [' + '{"a":' * 900 + "1" + "}" * 900 + "]}")
    reason = ""  # compiled, it is not too deep
    try:
        predictions(deep, AgreementSpec(ignore=("**.at",)))
    except Unfit as unfit:
        reason = str(unfit)
    assert reason in ("", "too_deep")


def test_plain_text_is_read_where_texts_are_compared() -> None:
    assert predictions(answer("yes", b"text/plain"), AgreementSpec(kind="text")).rows == ("yes",)


def test_a_body_that_was_not_kept_is_not_for_us_to_read() -> None:
    with pytest.raises(Unfit, match=r"^body_too_large$"):
        predictions(Answer(200, [], None), AUTO)


FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"content-type", b"content-encoding", b"inference-header-content-length"]),
        st.sampled_from([JSON, b"text/event-stream", b"gzip", b"deflate", b"br", b"zstd", b"0", b"2", b"30"])
        | st.binary(max_size=8),
    ),
    max_size=3,
)


@given(FIELDS, st.binary(), specs, st.binary(max_size=9) | st.just(b"/v1/m:predict"))
def test_any_bytes_are_rows_or_unreadable(
    fields: list[tuple[bytes, bytes]], body: bytes, spec: AgreementSpec, path: bytes
) -> None:
    with contextlib.suppress(Unreadable):
        assert len(predictions(Answer(200, fields, body), spec, path).rows) >= 0


MARKS = st.sampled_from(
    ["predictions", "outputs", "choices", "data", "messages", "output", "error", "embedding", "index", "datatype",
     "name", "shape", "message", "content", "tool_calls", "function", "arguments", "delta", "finish_reason", "b64"]
)  # fmt: skip
SHAPED = st.recursive(
    json_values | st.sampled_from(["FP32", "BYTES", "BOOL", "tool"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MARKS, inner, max_size=5),
    max_leaves=16,
)


@given(SHAPED, specs, st.sampled_from([b"", b"/v1/m:predict"]))
def test_any_document_of_the_formats_own_words_is_rows_or_unreadable(
    document: object, spec: AgreementSpec, path: bytes
) -> None:
    with contextlib.suppress(Unreadable):
        read(document, spec, path)


@given(st.lists(json_values))
def test_a_list_has_a_row_for_each_of_its_items(items: list[object]) -> None:
    assert len(predictions(answer(msgspec.json.encode({"predictions": items})), AUTO).rows) == len(items)
