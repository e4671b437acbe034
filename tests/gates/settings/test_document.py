"""Any bytes give a document; only plain, lawful ones give one without problems."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gates.settings.document import MAX_BYTES, MAX_DEPTH, MAX_NODES, Document, read

Reader = Callable[[str | bytes], Document]


@pytest.fixture
def parse(tmp_path: Path) -> Reader:
    def parse(text: str | bytes) -> Document:
        path = tmp_path / "a.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read(path)

    return parse


def told(document: Document) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.key, problem.message) for problem in document.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("40", 40),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1.0e+2", 100.0),
        ("1.50", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("0.01", 0.01),
        ("123456789012345678", 123456789012345678),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-01-02", "2026-01-02"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("'40'", "40"),
        ('"010"', "010"),
        ('""', ""),
        ("'null'", "null"),
        ("=", "="),
        ("e1", "e1"),
        ("0b", "0b"),
        ("\u0661\u0662", "\u0661\u0662"),
    ],
)
def test_a_scalar_is_what_it_looks_like(parse: Reader, text: str, value: object) -> None:
    document = parse(f"a: {text}\n")
    assert document.problems == ()
    assert document.value == {"a": value}
    assert isinstance(document.value, dict)
    assert type(document.value["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("010", "starts with 0"),
        ("-007", "starts with 0"),
        ("00.5", "starts with 0"),
        ("0o17", "starts with 0"),
        ("0x1F", "starts with 0"),
        ("0b101", "starts with 0"),
        (".inf", "expected a finite number"),
        ("-.INF", "expected a finite number"),
        (".NaN", "expected a finite number"),
        ("1.0e+999", "too large"),
        ("-1.0e+400", "too large"),
        ("1e2", "write it out"),
        ("1.5e3", "write it out"),
        ("-1e-7", "write it out"),
        ("1234567890123456789", "too large"),
        ("1" * 5000, "too large"),
        ("", "has no value"),
        ("~", "has no value"),
        ("null", "has no value"),
        ('"a\\0b"', "control characters"),
        ('"\\ud800"', "control characters"),
        ('"\\x1b[2J"', "control characters"),
        ("&x 5", "anchors"),
        ("*x", "aliases"),
        ("!!str 5", "tags"),
        ("!!python/object/apply:os.system [id]", "tags"),
        ("! 5", "tags"),
        ("&x [5]", "anchors"),
        ("!foo {b: 5}", "tags"),
        ("!include [x.yaml]", "tags"),
    ],
)
def test_a_surprise_is_refused_at_its_line(parse: Reader, text: str, said: str) -> None:
    document = parse(f"x: 1\na: {text}\n")
    ((line, key, message),) = told(document)
    assert (line, key) == (2, "a")
    assert said in message
    assert not document.sound(("a", "below"))
    assert document.sound(("x",))


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a", "stands twice, first in line 1"),
        ("x:\n  40: 1\n  '40': 2\n", 3, "x.40", "stands twice, first in line 2"),
        ("a: [1, {b: 1, b: 2}]\n", 1, "a[1].b", "stands twice"),
        ("a: 1\n  b: 2\n", 2, "", "not valid YAML"),
        ("a:\n\t- 1\n", 2, "", "not valid YAML"),
        ("a: [1,\n", 2, "", "not valid YAML"),
        ('a: "x\n', 2, "", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", 2, "", "one YAML document"),
        ("a: 1\n? [b]\n: 2\n", 2, "", "plain text"),
        ("a: 1\n&x b: 2\n", 2, "", "plain text"),
        ("a: 1\n'': 2\n", 2, "", "plain text"),
        ("a: 1\nb: \x07\n", 2, "", "a character that YAML forbids"),
        ("a: 1\nb: '\\UFFFFFFFF'\n".replace("'", '"'), 0, "", "not valid YAML"),
        ("%YAML 1." + "9" * 5000 + "\n--- a\n", 0, "", "not valid YAML"),
        ("", 0, "", "is empty"),
        ("# nothing\n", 0, "", "is empty"),
        ("---\n", 2, "", "has no value"),
    ],
)
def test_a_bad_structure_is_told_with_its_line(parse: Reader, text: str, line: int, key: str, said: str) -> None:
    ((found_line, found_key, message),) = told(parse(text))
    assert (found_line, found_key) == (line, key)
    assert said in message


@pytest.mark.parametrize("raw", [b"a: \xff\n", "a: 1\n".encode("utf-16"), b"a: \xc3\x28", b"\xed\xa0\x80"])
def test_what_is_not_utf8_is_refused(parse: Reader, raw: bytes) -> None:
    ((_, _, message),) = told(parse(raw))
    assert "UTF-8" in message


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(parse: Reader) -> None:
    document = parse(b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n")
    assert document.value == {"a": 1, "b": {"c": 2}}
    assert document.places["b", "c"].line == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 5000, "nested too deep"),
        ("- " * 5000, "nested too deep"),
        ("{a: " * 5000, "nested too deep"),
        ("[" + "a, " * MAX_NODES + "]", "too large"),
        ("{" + "a: b, " * (MAX_NODES // 2 + 1) + "}", "too large"),
        ("a" * (MAX_BYTES + 1), "too large"),
        ("\n" * MAX_BYTES, "is empty"),
    ],
)
def test_what_a_document_costs_is_capped(parse: Reader, text: str, said: str) -> None:
    messages = [message for _, _, message in told(parse(text)) if "twice" not in message]
    assert len(messages) == 1
    assert said in messages[0]


def test_the_largest_lawful_documents_are_read(parse: Reader) -> None:
    deepest = "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH
    assert parse(deepest).problems == ()
    assert parse(f"[{deepest}]").problems != ()
    assert parse("a".ljust(MAX_BYTES)).value == "a"
    many = parse("[" + "1, " * (MAX_NODES - 1) + "]")
    assert many.problems == ()
    assert many.value == [1] * (MAX_NODES - 1)


def test_aliases_cannot_multiply(parse: Reader) -> None:
    levels = "abcdefghij"
    bomb = "a: &a [lol]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in pairwise(levels))
    document = parse(bomb)
    assert {message.split(" ")[0] for _, _, message in told(document)} == {"anchors", "aliases"}
    assert len(json.dumps(document.value)) < 1000


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything; nobody may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    said = {
        "nowhere": "No such file",
        "folder": "Is a directory",
        "pipe": "not a file",
        "loop": "symbolic links",
        "x" * 300: "name too long",
    }
    for name, message in said.items():
        (problem,) = read(tmp_path / name).problems
        assert message in problem.message
        assert (problem.file, problem.line, problem.key) == (tmp_path / name, 0, "")


def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    path = tmp_path / "closed.yaml"
    path.write_text("a: 1")
    path.chmod(0)
    with as_nobody():
        (problem,) = read(path).problems
    assert "Permission denied" in problem.message


def lawful(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and lawful(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(lawful, value))
    return isinstance(value, str | int | float | bool)


WORDS = "a|b|1|010|.nan|~|&x |*x|!!str |!include |a.yaml|<<|@|%YAML 9|---|..."
SIGNS = [": ", "- ", "? ", "\n", "\n  ", " ", ", ", *"[]{}|>'\"#!\\", "\t", "\0", "\r", "\ufeff"]
TOKENS = st.sampled_from([*WORDS.split("|"), *SIGNS])


@given(
    raw=st.one_of(st.binary(max_size=200), st.lists(TOKENS, max_size=60).map(lambda tokens: "".join(tokens).encode()))
)
@example(raw=b"'\\UFFFFFFFF'")
@example(raw=b"!<%00>")
@example(raw=b'"\\xff"')
def test_any_bytes_give_a_lawful_value_or_a_problem(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "a.yaml"
    path.write_bytes(raw)
    document = read(path)
    assert document.problems or lawful(document.value)
    assert all(str(problem).startswith(str(path)) for problem in document.problems)
    assert bool(document.problems) == bool(document.broken)


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**56), 2**56)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: "e" not in repr(number))
    | st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab:#-'\"{}% é0", min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(value=VALUES)
def test_json_is_read_as_json(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "b.yaml"
    path.write_text(json.dumps(value, ensure_ascii=False))
    document = read(path)
    assert document.problems == ()
    assert json.dumps(document.value) == json.dumps(value)
