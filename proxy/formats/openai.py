"""OpenAI's answers, plain and streamed: chat, completions, embeddings; and MLflow's agents, which answer alike."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from proxy.formats.predictions import AnsweredError, Predictions, Unreadable, parse
from proxy.formats.tensors import RESOLUTIONS, floats

_LINE_END = re.compile(r"\r\n|\n|\r")
_LARGEST_INDEX = 4096


def from_document(document: dict[str, Any]) -> Predictions | None:
    """The predictions of a document of OpenAI's or of MLflow's agents, None for any other. Raises Unreadable."""
    choices, data = document.get("choices"), document.get("data")
    if isinstance(choices, list) and choices and all(isinstance(choice, dict) for choice in choices):
        return _texts([_row(choice.get("message"), choice.get("text")) for choice in sorted(choices, key=_index)])
    if isinstance(data, list) and data and all(isinstance(item, dict) and "embedding" in item for item in data):
        rows = [_vector(item["embedding"]) for item in sorted(data, key=_index)]
        return Predictions(rows, batch=True, meaning="embedding", resolution=RESOLUTIONS["FP32"])
    for key in ("messages", "output"):
        messages = document.get(key)
        if isinstance(messages, list) and messages and all(isinstance(one, dict) and "role" in one for one in messages):
            return _texts([_row(message, None) for message in messages])
    return None


def _index(item: dict[str, Any]) -> int:
    index = item.get("index")
    return index if isinstance(index, int) else 0


def _texts(rows: list[object]) -> Predictions:
    return Predictions(rows, meaning="text")


def _row(message: object, text: object) -> object:
    """What a message says; with tool calls, both: `{"content": ..., "tool_calls": [...]}`. Ids are left out."""
    if not isinstance(message, dict):
        return text if isinstance(text, str) else message
    content = _content(message.get("content"))
    calls = message.get("tool_calls")
    if not isinstance(calls, list) or not calls:
        return content
    return {"content": content, "tool_calls": [_call(call) for call in calls]}


def _content(content: object) -> object:
    """A string, or the joined texts of typed parts; null is no text, "" all the same."""
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in content
    ):
        return "".join(part["text"] for part in content)
    return "" if content is None else content


def _call(call: object) -> object:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return call
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = _document(arguments)
    return {"name": function.get("name"), "arguments": arguments}


def _vector(embedding: object) -> object:
    """Floats, or their bytes in base64."""
    if not isinstance(embedding, str):
        return embedding
    try:
        return floats(base64.b64decode(embedding, validate=True))
    except binascii.Error:
        raise Unreadable("malformed_embedding") from None


def from_events(body: bytes) -> Predictions:
    """The predictions of an event stream (HTML Standard section 9.2): the joined deltas of each choice, or of any other
    stream its data.

    Raises AnsweredError for an error among the events, and for a stream of choices that ends before they do."""
    deltas: dict[int, dict[str, Any]] = {}
    others: list[object] = []
    done = False
    for event, data in _events(body):
        if data == "[DONE]":
            done = True
            continue
        document = _document(data)
        if event == "error" or (isinstance(document, dict) and isinstance(document.get("error"), dict | str)):
            raise AnsweredError("error_in_stream")
        choices = document.get("choices") if isinstance(document, dict) else None
        if isinstance(choices, list):
            for choice in choices:
                _join(deltas, choice)
        else:
            others.append(document)
    if not deltas:
        return _texts(others)
    if not (done or all(joined["finished"] for joined in deltas.values())):
        raise AnsweredError("truncated_stream")
    return _texts([_row(deltas[index], None) for index in sorted(deltas)])


def _events(body: bytes) -> Iterator[tuple[str, str]]:
    """Each event's type and data."""
    event, data = "", list[str]()
    for line in (*_LINE_END.split(body.decode(errors="replace")), ""):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield event, "\n".join(data)
            event, data = "", []
        elif name == "data":
            data.append(value)
        elif name == "event":
            event = value


def _document(data: str) -> object:
    try:
        return parse(data)
    except Unreadable:
        return data


def _join(deltas: dict[int, dict[str, Any]], choice: object) -> None:
    """Add a chunk to its choice. What is not of the protocol's shape adds nothing."""
    if not isinstance(choice, dict) or len(deltas) > _LARGEST_INDEX:
        return
    joined = deltas.setdefault(_index(choice), {"content": "", "tool_calls": [], "finished": False})
    joined["finished"] = joined["finished"] or bool(choice.get("finish_reason"))
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else choice.get("text")
    if isinstance(text, str):
        joined["content"] += text
    calls = delta.get("tool_calls") if isinstance(delta, dict) else None
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            _join_call(joined["tool_calls"], call)


def _join_call(calls: list[dict[str, Any]], call: dict[str, Any]) -> None:
    at = _index(call)
    if not 0 <= at <= len(calls):
        return
    if at == len(calls):
        calls.append({"function": {"name": "", "arguments": ""}})
    function = call.get("function")
    for key in ("name", "arguments"):
        if isinstance(function, dict) and isinstance(function.get(key), str):
            calls[at]["function"][key] += function[key]
