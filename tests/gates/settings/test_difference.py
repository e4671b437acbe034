"""What is told of two configurations side by side goes into the audit trail, the log and the API: no secret may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from gates.settings.configuration import shape
from gates.settings.difference import UNSHOWN, changes, flat
from gates.settings.problems import Key, key_text

SHAPE = shape()
SECRETS = (
    "https://host/hunter2",
    "https://host:1/?key=hunter2",
    "https://ada:hunter2@host/",
    "https://ada:hun/ter2@host/hunter2",
    "slack://hunter2/a/b",
    "postgresql+psycopg://ada:hunter2@host/db",
    "sqlite:///hunter2.db",
)


def leaves(schema: dict[str, Any], key: Key = (), within: tuple[str, ...] = ()) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Every value that a configuration may have by itself, with its schema; what a name may be is called `name`."""
    if (name := schema.get("$ref", "").rpartition("/")[2]) and name not in within:
        yield from leaves(SHAPE["$defs"][name], key, (*within, name))
    for kind in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from leaves(kind, key, within)
    for step, below in schema.get("properties", {}).items():
        yield from leaves(below, (*key, step), within)
    for below in schema.get("patternProperties", {}).values():
        yield from leaves(below, (*key, "name"), within)
    if "items" in schema:
        yield from leaves(schema["items"], (*key, 0), within)
    if "type" in schema and schema["type"] not in ("object", "array"):
        yield key, schema


LEAVES = {f"{key_text(key)} {number}": (key, leaf) for number, (key, leaf) in enumerate(leaves(SHAPE))}


def shown(key: str, text: str) -> str:
    (change,) = changes({}, {key: text})
    return str(change)


def test_the_whole_configuration_is_walked() -> None:
    keys = {key_text(key) for key, _ in LEAVES.values()}
    assert {"store", "alerts.channels.name.url", "models.name.servers.name[0]", "access.tokens[0].hash"} <= keys
    assert {key for key in keys if ".webhook." in key and key.endswith("webhook.url")}
    assert len(keys) > 150


@pytest.mark.parametrize("name", LEAVES)
def test_no_value_that_may_hold_a_secret_is_shown_whole(name: str) -> None:
    """Whatever the key's kind takes: a new key is held to it as well."""
    key, leaf = LEAVES[name]
    validator = jsonschema.Draft202012Validator({**leaf, "$defs": SHAPE["$defs"]})
    for secret in filter(validator.is_valid, SECRETS):
        assert "hunter2" not in shown(key_text(key), secret)
    if "webhook" in key:
        assert shown(key_text(key), "hunter2") == f"{key_text(key)}: not written -> {UNSHOWN}"


@pytest.mark.parametrize(
    "leaf", ["token", "api_token", "client_secret", "password", "Secrets[1]", "hash", "credentials"]
)
def test_what_is_called_a_secret_is_not_shown(leaf: str) -> None:
    assert "hunter2" not in shown(f"models.m.{leaf}", "hunter2")


def test_what_is_no_secret_is_shown() -> None:
    before, after = {"a.url": "http://h:1", "access.tokens[0].name": "ada"}, {"a.url": "https://h/x", "timeout": "2s"}
    assert [str(change) for change in changes(before, after)] == [
        "a.url: http://h:1 -> https://h/(not shown)",
        "access.tokens[0].name: ada -> not written",
        "timeout: not written -> 2s",
    ]


def test_a_webhook_that_changes_is_named_and_not_shown() -> None:
    webhooks = [{"url": f"http://host/{secret}", "body": {"key": secret}} for secret in ("hunter2", "hunter3")]
    written = [dict(flat({"models": {"m": {"remedies": {"p99": {"webhook": webhook}}}}})) for webhook in webhooks]
    told = changes(*written)
    assert [change.key.rpartition("webhook.")[2] for change in told] == ["body.key", "url"]
    assert "hunter" not in str(told)


def test_every_value_has_its_key() -> None:
    assert dict(flat({"a": [{"b": True}, []], "c": {}})) == {"a[0].b": "true", "a[1]": "[]", "c": "{}"}
