"""OpenAI's answers: chat, completions, responses, embeddings; and those of MLflow's agents, which are alike."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from proxy.formats.reading import Predictions, Unreadable, parse
from proxy.formats.tensors import RESOLUTIONS, floats

_ITEMS = frozenset(("message", "function_call", "function_call_output", "reasoning"))
"""What a response consists of, by `type`; other items are the server's own tools at work."""


def from_document(document: dict[str, Any]) -> Predictions | None:
    """The predictions of a document of OpenAI's or of MLflow's agents, None for any other. Raises Unreadable."""
    choices, data = document.get("choices"), document.get("data")
    if isinstance(choices, list) and choices and all(isinstance(choice, dict) for choice in choices):
        return texts([row_of(choice.get("message"), choice.get("text")) for choice in sorted(choices, key=index_of)])
    if isinstance(data, list) and data and all(isinstance(item, dict) and "embedding" in item for item in data):
        rows = [_vector(item["embedding"]) for item in sorted(data, key=index_of)]
        return Predictions(rows, batch=True, meaning="embedding", resolution=RESOLUTIONS["FP32"])
    messages, output = document.get("messages"), document.get("output")
    if isinstance(messages, list) and messages and all(isinstance(one, dict) and "role" in one for one in messages):
        return texts([row_of(message, None) for message in messages])
    if isinstance(output, list) and output and (document.get("object") == "response" or all(map(_is_item, output))):
        return texts(rows_of_items(output))
    return None


def _is_item(item: object) -> bool:
    return isinstance(item, dict) and ("role" in item or item.get("type") in _ITEMS)


def rows_of_items(items: Sequence[object]) -> list[object]:
    """A row for each message and each call, in their order. How a model came to them (`reasoning`) is no part of it."""
    rows: list[object] = []
    for item in items:
        if not isinstance(item, dict):
            continue
        if item.get("type") == "function_call":
            rows.append({"content": "", "tool_calls": [_call({"function": item})]})
        elif item.get("type") == "function_call_output":
            rows.append(item.get("output"))
        elif "role" in item:
            rows.append(row_of(item, None))
    return rows


def index_of(item: dict[str, Any]) -> int:
    index = item.get("index")
    return index if isinstance(index, int) else 0


def texts(rows: list[object]) -> Predictions:
    return Predictions(rows, meaning="text")


def row_of(message: object, text: object) -> object:
    """What a message says; with tool calls, both: `{"content": ..., "tool_calls": [...]}`. Ids are left out."""
    if not isinstance(message, dict):
        return text if isinstance(text, str) else message
    content = _content(message.get("content"), message.get("refusal"))
    calls = calls_of(message)
    return {"content": content, "tool_calls": [_call(call) for call in calls]} if calls else content


def _content(content: object, refusal: object) -> object:
    """A string, or the joined texts of typed parts, and what a refusal says; null is no text, "" all the same."""
    if isinstance(content, list):
        parts = [_part(part) for part in content]
        content = content if None in parts else "".join(map(str, parts))
    said = "" if content is None else content
    return said + refusal if isinstance(said, str) and isinstance(refusal, str) else said


def _part(part: object) -> str | None:
    """What a typed part of a message says; None for what is no text, as an image."""
    told = (part.get("text"), part.get("refusal")) if isinstance(part, dict) else ()
    return next((text for text in told if isinstance(text, str)), None)


def calls_of(message: dict[str, Any]) -> list[object]:
    """Tool calls, or the one `function_call` that came before them and is still answered."""
    calls, legacy = message.get("tool_calls"), message.get("function_call")
    if isinstance(calls, list) and calls:
        return calls
    return [{"function": legacy}] if isinstance(legacy, dict) else []


def _call(call: object) -> object:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return call
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = parsed(arguments)
    return {"name": function.get("name"), "arguments": arguments}


def _vector(embedding: object) -> object:
    """Floats, or their bytes in base64."""
    if not isinstance(embedding, str):
        return embedding
    try:
        return floats(base64.b64decode(embedding, validate=True))
    except binascii.Error:
        raise Unreadable("malformed_embedding") from None


def parsed(data: str) -> object:
    try:
        return parse(data)
    except Unreadable:
        return data
