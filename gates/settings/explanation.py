"""What the models say of a bad configuration, in an operator's words: the key, its line, and what was expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gates.settings.document import Document
from gates.settings.notation import found
from gates.settings.problems import Key, Problem

_Node = Mapping[str, Any]
"""A part of the JSON Schema."""


def explain(error: ValidationError, read: Document, root: _Node) -> Iterator[Problem]:
    """The problems that the document does not tell of itself; `root` is the JSON Schema that it was held against.

    Texts are not repeated, as they may hold a password."""
    for details in error.errors(include_url=False):
        key, node = _follow(root, details["loc"])
        parent = _follow(root, details["loc"][:-1])[1]
        below, message = _message(details, parent, node)
        if read.sound(key + below):
            yield read.problem(key + below, message)


def _follow(root: _Node, loc: Key) -> tuple[Key, _Node]:
    """The document's key for a location of pydantic's, which holds tags of unions and marks of keys, and its schema."""
    key: Key = ()
    node = root
    for step in loc:
        variants = node.get("discriminator", {}).get("mapping", {})
        if step in variants:
            node = _resolved(root, {"$ref": variants[step]})
        elif step != "[key]":
            key += (step,)
            node = _resolved(root, _child(node, step))
    return key, node


def _child(node: _Node, step: str | int) -> _Node:
    for child in (node.get("properties", {}).get(step), *node.get("patternProperties", {}).values()):
        if child is not None:
            return dict(child)
    return dict(node.get("items", {}))


def _resolved(root: _Node, node: _Node) -> _Node:
    if "$ref" in node:
        return {**root["$defs"][node["$ref"].rpartition("/")[2]], **node}
    return node


def _message(details: ErrorDetails, parent: _Node, node: _Node) -> tuple[Key, str]:
    """What to tell, and at which key below the location."""
    context = details.get("ctx", {})
    name = str(details["loc"][-1]) if details["loc"] else ""
    match details["type"]:
        case "value_error":
            return (), str(context["error"])
        case "contradiction":
            return context["at"], context["said"]
        case "missing":
            return (), f"is missing: {node.get('description', '')}"
        case "extra_forbidden":
            return (), "unknown key" + _instead(name, list(parent.get("properties", ())))
        case "union_tag_not_found":
            return ("metric",), "is missing: " + _any_of(list(node["discriminator"]["mapping"]))
        case "union_tag_invalid":
            known = list(node["discriminator"]["mapping"])
            return ("metric",), "unknown metric" + _instead(str(context["tag"]), known)
        case "model_type" | "model_attributes_type" | "dict_type":
            return (), f"expected a mapping, found {_kind(details['input'])}"
        case "too_short":
            return (), "expected at least one, found none"
        case _:
            expected = details["msg"].replace("Input should be", "expected")
            return (), f"{expected}, found {_kind(details['input'])}"


def _instead(name: str, known: list[str]) -> str:
    close = get_close_matches(name[:64], known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; expected {_any_of(known)}"


def _any_of(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _kind(value: object) -> str:
    return "a text" if isinstance(value, str) else found(value)
