"""Event streams (HTML Standard section 9.2): OpenAI's, and any others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from proxy.formats.openai import calls_of, index_of, parsed, row_of, rows_of_items, texts
from proxy.formats.reading import AnsweredError, Predictions, tells_of_error

_LINE_END = re.compile(r"\r\n|\n|\r")
_LARGEST_INDEX = 4096
_ITEM_DONE = "response.output_item.done"
_RESPONSE_ENDS = frozenset(("response.completed", "response.incomplete"))


def from_events(body: bytes) -> Predictions:
    """The joined deltas of each choice, the items of a response, or of any other stream its data.

    Raises AnsweredError for an error among the events, for choices or a response that end before they are done, and
    for a stream that ends before its first event does."""
    stream = _Stream()
    for event, data in _events(body):
        if data == "[DONE]":
            stream.done = True
        else:
            stream.take(event, parsed(data))
    return stream.predictions()


@dataclass(slots=True)
class _Stream:
    """What has come so far. A response comes twice, in deltas and in items, of which the items are enough."""

    deltas: dict[int, dict[str, Any]] = field(default_factory=dict)
    items: list[object] = field(default_factory=list)
    others: list[object] = field(default_factory=list)
    responds: bool = False
    done: bool = False

    def take(self, event: str, document: object) -> None:
        told = document if isinstance(document, dict) else {}
        kind, choices = told.get("type"), told.get("choices")
        if "error" in (event, kind) or kind == "response.failed" or tells_of_error(told):
            raise AnsweredError("error_in_stream")
        if isinstance(choices, list):
            for choice in choices:
                _join(self.deltas, choice)
        elif isinstance(kind, str) and kind.startswith("response."):
            self.responds = True
            self.done = self.done or kind in _RESPONSE_ENDS
            if kind == _ITEM_DONE:
                self.items.append(told.get("item"))
        else:
            self.others.append(document)

    def predictions(self) -> Predictions:
        if self.others and not (self.deltas or self.responds):
            return texts(self.others)
        finished = self.deltas and all(joined["finished"] for joined in self.deltas.values())
        if not (self.done or finished):
            raise AnsweredError("truncated_stream")
        joined = [row_of(self.deltas[index], None) for index in sorted(self.deltas)]
        return texts([*joined, *rows_of_items(self.items)])


def _events(body: bytes) -> Iterator[tuple[str, str]]:
    """Each event's type and data. One that no blank line ends has been cut, and is none."""
    event, data = "", list[str]()
    for line in _LINE_END.split(body.decode(errors="replace"))[:-1]:
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


def _join(deltas: dict[int, dict[str, Any]], choice: object) -> None:
    """Add a chunk to its choice. What is not of the protocol's shape adds nothing."""
    if not isinstance(choice, dict) or len(deltas) > _LARGEST_INDEX:
        return
    joined = deltas.setdefault(index_of(choice), {"content": "", "refusal": "", "tool_calls": [], "finished": False})
    joined["finished"] = joined["finished"] or bool(choice.get("finish_reason"))
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        delta = {"content": choice.get("text")}
    for key in ("content", "refusal"):
        if isinstance(delta.get(key), str):
            joined[key] += delta[key]
    for call in calls_of(delta):
        if isinstance(call, dict):
            _join_call(joined["tool_calls"], call)


def _join_call(calls: list[dict[str, Any]], call: dict[str, Any]) -> None:
    at = index_of(call)
    if not 0 <= at <= len(calls):
        return
    if at == len(calls):
        calls.append({"function": {"name": "", "arguments": ""}})
    function = call.get("function")
    for key in ("name", "arguments"):
        if isinstance(function, dict) and isinstance(function.get(key), str):
            calls[at]["function"][key] += function[key]
