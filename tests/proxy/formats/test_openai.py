from __future__ import annotations

import base64
import contextlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.formats import Answer, AnsweredError, Predictions, Unreadable, predictions
from proxy.snapshot import AgreementSpec
from tests.strategies import json_values

AUTO = AgreementSpec()


def from_json(document: object) -> Predictions:
    return predictions(Answer(200, [(b"content-type", b"application/json")], json.dumps(document).encode()), AUTO)


def from_stream(*data: object, end: str = "\n", last: str = "[DONE]") -> Predictions:
    lines = [one if isinstance(one, str) else json.dumps(one) for one in data]
    body = "".join(f"data: {line}{end}{end}" for line in [*lines, *([last] if last else [])])
    return predictions(Answer(200, [(b"content-type", b"text/event-stream; charset=utf-8")], body.encode()), AUTO)


def chunk(text: str | None = None, index: int = 0, finish: str | None = None, **delta: object) -> dict[str, object]:
    content = {} if text is None else {"content": text}
    return {"id": "x", "choices": [{"index": index, "delta": {**content, **delta}, "finish_reason": finish}]}


def test_choices_come_in_their_order_without_what_changes_from_call_to_call() -> None:
    choices = [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}}]
    found = from_json({"id": "1", "created": 5, "choices": choices})
    assert (list(found.rows), found.meaning) == (["a", "b"], "text")


@pytest.mark.parametrize(
    ("message", "row"),
    [
        ({"role": "assistant", "content": None}, ""),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        (
            {"content": None, "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": '{"b": 1, "a": 2}'}}]},
            {"content": "", "tool_calls": [{"name": "f", "arguments": {"a": 2, "b": 1}}]},
        ),
        (
            {"content": "", "tool_calls": [{"function": {"name": "f", "arguments": "no json"}}]},
            {"content": "", "tool_calls": [{"name": "f", "arguments": "no json"}]},
        ),
        (
            {"content": None, "function_call": {"name": "pay", "arguments": "{}"}},
            {"content": "", "tool_calls": [{"name": "pay", "arguments": {}}]},
        ),
        ({"content": "hi", "function_call": None, "refusal": None}, "hi"),
        ({"content": None, "refusal": "I must not."}, "I must not."),
        ({"content": [{"type": "refusal", "refusal": "I must not."}]}, "I must not."),
        ({"content": [{"type": "image", "url": "a"}]}, [{"type": "image", "url": "a"}]),
    ],
    ids=[
        "null",
        "parts",
        "a tool call",
        "a tool call with odd arguments",
        "a call of the old kind",
        "no such call",
        "a refusal",
        "a refusal among parts",
        "no text",
    ],
)
def test_what_a_message_says(message: object, row: object) -> None:
    assert list(from_json({"choices": [{"message": message}]}).rows) == [row]


def test_completions_and_the_answers_of_mlflows_agents_are_texts() -> None:
    assert from_json({"choices": [{"text": "once"}]}).rows == ["once"]
    assert from_json({"messages": [{"role": "assistant", "content": "hi"}]}).rows == ["hi"]
    assert from_json({"output": [{"role": "assistant", "content": [{"text": "hi"}]}], "id": "1"}).rows == ["hi"]


MESSAGE = {"type": "message", "id": "m1", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
CALLED = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "weather", "arguments": '{"city": "Rome"}'}
THOUGHT = {"type": "reasoning", "id": "r1", "summary": []}
SAID = ["hi", {"content": "", "tool_calls": [{"name": "weather", "arguments": {"city": "Rome"}}]}]


def test_a_response_is_its_messages_and_calls_without_what_changes_from_call_to_call() -> None:
    assert from_json({"object": "response", "id": "1", "output": [THOUGHT, MESSAGE, CALLED]}).rows == SAID
    assert from_json({"output": [CALLED, MESSAGE]}).rows == SAID[::-1]
    assert from_json({"output": [{"type": "function_call_output", "output": "17 C"}]}).rows == ["17 C"]
    plain = {"output": [{"type": "cat", "p": 0.5}]}
    assert list(from_json(plain).rows) == [plain], "a document that only looks like one is a document"


def item_done(item: object) -> object:
    return {"type": "response.output_item.done", "item": item}


@pytest.mark.parametrize("end", ["response.completed", "response.incomplete", "[DONE]"])
def test_a_streamed_response_is_its_items(end: str) -> None:
    begun = {"type": "response.created", "response": {"id": "x"}}
    delta = {"type": "response.output_text.delta", "item_id": "m1", "delta": "h"}
    last = end if end == "[DONE]" else json.dumps({"type": end})
    streamed = from_stream(begun, delta, item_done(THOUGHT), item_done(MESSAGE), item_done(CALLED), last=last)
    assert streamed.rows == SAID
    assert streamed == from_json({"object": "response", "output": [MESSAGE, CALLED]})


def test_a_streamed_response_that_fails_or_breaks_off_is_a_failure() -> None:
    with pytest.raises(AnsweredError, match=r"^truncated_stream$"):
        from_stream(item_done(MESSAGE), last="")
    for error in ({"type": "response.failed", "response": {}}, {"type": "error", "message": "no"}):
        with pytest.raises(AnsweredError, match=r"^error_in_stream$"):
            from_stream(item_done(MESSAGE), error)


def test_embeddings_are_floats_or_their_bytes() -> None:
    packed = base64.b64encode(struct.pack("<2f", 1.5, -2.0)).decode()
    plain = from_json({"data": [{"index": 0, "embedding": [1.5, -2.0]}]})
    coded = from_json({"data": [{"index": 0, "embedding": packed}]})
    assert plain == coded
    assert plain.meaning == "embedding"
    for broken in ("*", base64.b64encode(b"12345").decode()):
        with pytest.raises(Unreadable, match=r"^malformed_"):
            from_json({"data": [{"index": 0, "embedding": broken}]})


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_streams_deltas_are_joined(end: str) -> None:
    found = from_stream(chunk(role="assistant"), chunk("Hel"), chunk("lo\u2028"), chunk(finish="stop"), end=end)
    assert (list(found.rows), found.meaning) == (["Hello\u2028"], "text")


def test_streamed_and_plain_answers_are_the_same_predictions() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a"'}}
    more = {"index": 0, "function": {"arguments": ": 1}"}}
    streamed = from_stream(chunk("x"), chunk(tool_calls=[call]), chunk(tool_calls=[more]), chunk("y", index=1))
    message = {"content": "x", "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]}
    assert streamed == from_json(
        {"choices": [{"index": 0, "message": message}, {"index": 1, "message": {"content": "y"}}]}
    )
    refused = from_stream(chunk(refusal="I must"), chunk(refusal=" not."))
    assert refused == from_json({"choices": [{"message": {"content": None, "refusal": "I must not."}}]})
    begun, rest = {"name": "pay", "arguments": '{"sum"'}, {"arguments": ": 1}"}
    called = from_stream(chunk(function_call=begun), chunk(function_call=rest))
    whole = {"function_call": {"name": "pay", "arguments": '{"sum": 1}'}}
    assert called == from_json({"choices": [{"message": whole}]})


def test_a_stream_ends_with_done_or_with_a_reason_for_each_choice() -> None:
    assert from_stream(chunk("a", finish="stop"), chunk("b", index=1, finish="length"), last="").rows == ["a", "b"]
    for cut in ([chunk("a")], [chunk("a", finish="stop"), chunk("b", index=1)]):
        with pytest.raises(AnsweredError, match=r"^truncated_stream$"):
            from_stream(*cut, last="")


def test_an_error_among_the_events_is_told() -> None:
    for data in ([chunk("a"), {"error": {"message": "out of memory"}}], [{"error": "no"}]):
        with pytest.raises(AnsweredError, match=r"^error_in_stream$"):
            from_stream(*data)
    named = b'event: error\ndata: {"detail": "no"}\n\n'
    with pytest.raises(AnsweredError, match=r"^error_in_stream$"):
        predictions(Answer(200, [(b"content-type", b"text/event-stream")], named), AUTO)


def from_bytes(body: bytes) -> Predictions:
    return predictions(Answer(200, [(b"content-type", b"text/event-stream")], body), AUTO)


def test_any_other_stream_is_its_data() -> None:
    assert from_stream({"a": 1}, "plain", "[2]", last="").rows == [{"a": 1}, "plain", [2]]
    assert from_bytes(b": comment\n\nid: 1\ndata: one\ndata: two\n\n").rows == ["one\ntwo"]


def test_an_error_that_is_empty_is_none() -> None:
    assert from_stream({"error": "", "a": 1}, {"error": {}, "a": 2}, {"error": None}).rows[0] == {"error": "", "a": 1}
    assert from_stream({**chunk("a"), "error": ""}).rows == ["a"]


def test_an_event_that_no_blank_line_ends_is_none() -> None:
    assert from_bytes(b"data: one\n\ndata: tw").rows == ["one"]
    assert from_bytes(b"data: one\n\ndata: two\n").rows == ["one"]


@pytest.mark.parametrize("cut", [b'data: {"choi', b'data: {"a": 1}', b'data: {"a": 1}\n', b"", b": still at work\n\n"])
def test_a_stream_without_one_whole_event_broke_off(cut: bytes) -> None:
    with pytest.raises(AnsweredError, match=r"^truncated_stream$"):
        from_bytes(cut)


@given(st.lists(json_values | st.builds(chunk, st.none() | st.text(), st.integers()) | st.text(), max_size=5))
def test_any_events_are_rows_or_unreadable(data: list[object]) -> None:
    with contextlib.suppress(Unreadable):
        from_stream(*data)
