"""Sixty ways for a configuration to be bad, each of which changes a good one that names one model, and what is told of
each."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

GOOD = """\
listen: 127.0.0.1:8080
models:
  fraud_detector:
    servers: {"40": [http://127.0.0.1:1], "42": [http://127.0.0.1:2]}
    champion: "40"
    timeout: 2s
    shadow: {percent: 100}
    plan: {steps: [{percent: 5}, {percent: 100}]}
    gates: {errors: {metric: error_rate, max: 5%}}
"""

Spoil = Callable[[Path], None]


def _text(text: str | bytes) -> Spoil:
    return lambda path: _put(path, text if isinstance(text, bytes) else text.encode())


def _edit(old: str, new: str) -> Spoil:
    assert old in GOOD
    return _text(GOOD.replace(old, new))


def _put(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)


def _include(name: str, raw: bytes) -> Spoil:
    def spoil(path: Path) -> None:
        path.with_name(name).write_bytes(raw)
        _put(path, GOOD.replace("{errors: {metric: error_rate, max: 5%}}", f"!include {name}").encode())

    return spoil


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.yaml")


def _link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _named_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


_ALIASES = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" if n else 'x0: &x0 ["lol"]\n' for n in range(10))

BAD: Mapping[str, Spoil] = {
    "empty": _text(""),
    "only blanks": _text(" \n\n"),
    "only a comment": _text("# nothing\n"),
    "only null": _text("null\n"),
    "a text": _text("penstock\n"),
    "a list": _text("- models\n"),
    "not UTF-8": _text(b"models: {}\n\xff\xfe"),
    "UTF-16": _text(GOOD.encode("utf-16")),
    "a NUL": _text(GOOD + "\0"),
    "binary": _text(bytes(range(256))),
    "half written": _text(GOOD[: GOOD.index("error_rate")]),
    "cut within a list": _text(GOOD[: GOOD.index("http") + 8]),
    "cut within a key": _text(GOOD[: GOOD.index("champion") + 5]),
    "a merge conflict": _text("<<<<<<< HEAD\n" + GOOD + "=======\n" + GOOD + ">>>>>>> theirs\n"),
    "twice in one file": _text(GOOD + "---\n" + GOOD),
    "tabs for spaces": _edit("    champion", "\tchampion"),
    "an open quote": _edit('champion: "40"', 'champion: "40'),
    "an open bracket": _text(GOOD + "x: [\n"),
    "a bomb of aliases": _text(_ALIASES + GOOD),
    "a bomb of brackets": _text("x: " + "[" * 5_000 + "]" * 5_000 + "\n" + GOOD),
    "a bomb of keys": _text(GOOD + "".join(f"k{n}: 1\n" for n in range(60_000))),
    "a bomb of bytes": _text(GOOD + "# " + "x" * 1_100_000 + "\n"),
    "a merge key": _edit("timeout: 2s", "<<: {timeout: 2s}"),
    "an anchor": _edit("timeout: 2s", "timeout: &t 2s"),
    "a Python tag": _edit("timeout: 2s", "timeout: !!python/object/apply:os.system [id]"),
    "an unknown key at the top": _text(GOOD + "modles: {}\n"),
    "an unknown key of a model": _edit("champion", "champoin"),
    "an unknown key of a gate": _edit("max: 5%", "maximum: 5%"),
    "a duplicate key": _edit("timeout: 2s", "timeout: 2s\n    timeout: 3s"),
    "a duplicate model": _text(GOOD + GOOD.split("models:\n")[1]),
    "a duplicate version": _edit('"42": [', '"40": ['),
    "NaN": _edit("percent: 5}", "percent: .nan}"),
    "infinity": _edit("percent: 5}", "percent: .inf}"),
    "101 %": _edit("{percent: 100}]", "{percent: 101}]"),
    "minus 1 %": _edit("shadow: {percent: 100}", "shadow: {percent: -1}"),
    "1e2": _edit("shadow: {percent: 100}", "shadow: {percent: 1e2}"),
    "a third decimal": _edit("percent: 5}", "percent: 5.125}"),
    "a percentage in quotes": _edit("percent: 5}", 'percent: "5"}'),
    "octal": _edit("percent: 5}", "percent: 005}"),
    "sexagesimal": _edit("timeout: 2s", "timeout: 1:30"),
    "a number beyond all": _edit("percent: 5}", "percent: 9999999999999999999}"),
    "true for a number": _edit("percent: 5}", "percent: true}"),
    "no value": _edit("timeout: 2s", "timeout:"),
    "a time of no known unit": _edit("timeout: 2s", "timeout: 2 blinks"),
    "no time at all": _edit("timeout: 2s", "timeout: 0s"),
    "steps that fall": _edit("[{percent: 5}, {percent: 100}]", "[{percent: 100}, {percent: 5}]"),
    "no steps": _edit("[{percent: 5}, {percent: 100}]", "[]"),
    "a champion without servers": _edit('champion: "40"', 'champion: "41"'),
    "an alias without a registry": _edit('champion: "40"', 'champion: "@champion"'),
    "no champion": _edit('    champion: "40"\n', ""),
    "a server that is no address": _edit("http://127.0.0.1:1", "ftp://h"),
    "a limit without its sign": _edit("max: 5%", "max: 5"),
    "a store of another kind": _text(GOOD + "store: mysql://root:hunter2@db/penstock\n"),
    "an include of nothing": _edit("{errors: {metric: error_rate, max: 5%}}", "!include nothing.yaml"),
    "an include from outside": _edit("{errors: {metric: error_rate, max: 5%}}", "!include ../../etc/passwd"),
    "an include of itself": _edit("{errors: {metric: error_rate, max: 5%}}", "!include penstock.yaml"),
    "an included file that is bad": _include("gates.yaml", b"errors: {metric: error_rate, max: 101%}\n"),
    "a directory": _directory,
    "a link to nowhere": _link_to_nowhere,
    "a link to itself": _link_to_itself,
    "a named pipe": _named_pipe,
    "not there": Path.unlink,
    "no permission": lambda path: path.chmod(0),
    "JSON cut in half": _text(json.dumps({"models": {}})[:-1]),
}

TOLD: Mapping[str, str] = {
    "empty": "penstock.yaml: is empty",
    "only blanks": "penstock.yaml: is empty",
    "only a comment": "penstock.yaml: is empty",
    "only null": "penstock.yaml:1: has no value: give it one, or remove it",
    "a text": "penstock.yaml:1: expected a mapping, found a text",
    "a list": "penstock.yaml:1: expected a mapping, found a list",
    "not UTF-8": "penstock.yaml:2: is not UTF-8 text",
    "UTF-16": "penstock.yaml:1: is not UTF-8 text",
    "a NUL": "penstock.yaml:10: is not valid YAML: it holds a character that YAML forbids",
    "binary": "penstock.yaml:2: is not UTF-8 text",
    "half written": "penstock.yaml:9: is not valid YAML: while parsing a flow node, expected the node content, but",
    "cut within a list": "penstock.yaml:4: is not valid YAML: while parsing a flow sequence, expected ',' or ']',",
    "cut within a key": "penstock.yaml:5: is not valid YAML: while scanning a simple key, could not find expected",
    "a merge conflict": "penstock.yaml:2: is not valid YAML: mapping values are not allowed here",
    "twice in one file": "penstock.yaml:10: expected one YAML document, found a second",
    "tabs for spaces": "penstock.yaml:5: is not valid YAML: while scanning for the next token, found character '\\t'",
    "an open quote": "penstock.yaml:10: is not valid YAML: while scanning a quoted scalar, found unexpected end of",
    "an open bracket": "penstock.yaml:11: is not valid YAML: while parsing a flow node, expected the node content,",
    "a bomb of aliases": "penstock.yaml:1: x0: anchors (&name) are not supported: write the value out each time",
    "a bomb of brackets": "penstock.yaml:1: x[0][0][0]: is nested too deep: expected at most 32 levels",
    "a bomb of keys": "penstock.yaml:24989: k24979: is too large: expected at most 50000 keys and values in all",
    "a bomb of bytes": "penstock.yaml: is too large: expected at most 1048576 bytes in all files",
    "a merge key": "penstock.yaml:6: models.fraud_detector.'<<': unknown key",
    "an anchor": "penstock.yaml:6: models.fraud_detector.timeout: anchors (&name) are not supported: write the",
    "a Python tag": "penstock.yaml:6: models.fraud_detector.timeout: tags are not supported, but for !include",
    "an unknown key at the top": "penstock.yaml:10: modles: unknown key; did you mean models?",
    "an unknown key of a model": "penstock.yaml:5: models.fraud_detector.champoin: unknown key; did you mean",
    "an unknown key of a gate": "penstock.yaml:9: models.fraud_detector.gates.errors.maximum: unknown key; did you",
    "a duplicate key": "penstock.yaml:7: models.fraud_detector.timeout: the key stands twice, first in line 6",
    "a duplicate model": "penstock.yaml:10: models.fraud_detector: the key stands twice, first in line 3",
    "a duplicate version": "penstock.yaml:4: models.fraud_detector.servers.40: the key stands twice, first in line 4",
    "NaN": "penstock.yaml:8: models.fraud_detector.plan.steps[0].percent: expected a finite number, found",
    "infinity": "penstock.yaml:8: models.fraud_detector.plan.steps[0].percent: expected a finite number, found",
    "101 %": "penstock.yaml:8: models.fraud_detector.plan.steps[1].percent: expected a percentage from 0 to 100",
    "minus 1 %": "penstock.yaml:7: models.fraud_detector.shadow.percent: expected a percentage from 0 to 100",
    "1e2": "penstock.yaml:7: models.fraud_detector.shadow.percent: 1e2 is a number to some readers and a text",
    "a third decimal": "penstock.yaml:8: models.fraud_detector.plan.steps[0].percent: expected a percentage with at",
    "a percentage in quotes": "penstock.yaml:8: models.fraud_detector.plan.steps[0].percent: expected a percentage",
    "octal": "penstock.yaml:8: models.fraud_detector.plan.steps[0].percent: 005 starts with 0: write a decimal",
    "sexagesimal": "penstock.yaml:6: models.fraud_detector.timeout: expected a duration such as 250ms, 2s, 30m or",
    "a number beyond all": "penstock.yaml:8: models.fraud_detector.plan.steps[0].percent: the number is too large:",
    "true for a number": "penstock.yaml:8: models.fraud_detector.plan.steps[0].percent: expected a percentage from",
    "no value": "penstock.yaml:6: models.fraud_detector.timeout: has no value: give it one, or remove it",
    "a time of no known unit": "penstock.yaml:6: models.fraud_detector.timeout: expected a duration such as 250ms,",
    "no time at all": "penstock.yaml:6: models.fraud_detector.timeout: expected a duration above 0",
    "steps that fall": "penstock.yaml:8: models.fraud_detector.plan.steps[1].percent: expected more than 100, found",
    "no steps": "penstock.yaml:8: models.fraud_detector.plan.steps: expected at least one, found none",
    "a champion without servers": "penstock.yaml:5: models.fraud_detector.champion: version 41 has no servers;",
    "an alias without a registry": "penstock.yaml:5: models.fraud_detector.champion: @champion is an alias, and no",
    "no champion": "penstock.yaml:3: models.fraud_detector.champion: is missing",
    "a server that is no address": "penstock.yaml:4: models.fraud_detector.servers.40[0]: expected http://host:port",
    "a limit without its sign": "penstock.yaml:9: models.fraud_detector.gates.errors.max: expected a percentage",
    "a store of another kind": "penstock.yaml:10: store: expected sqlite:///file.db or",
    "an include of nothing": "penstock.yaml:9: models.fraud_detector.gates: nothing.yaml cannot be read: No such",
    "an include from outside": "penstock.yaml:9: models.fraud_detector.gates: !include ../../etc/passwd: expected a",
    "an include of itself": "penstock.yaml:9: models.fraud_detector.gates: !include penstock.yaml: the file would",
    "an included file that is bad": "gates.yaml:1: models.fraud_detector.gates.errors.max: expected more than 0%",
    "a directory": "penstock.yaml: penstock.yaml cannot be read: Is a directory",
    "a link to nowhere": "penstock.yaml: penstock.yaml cannot be read: No such file or directory",
    "a link to itself": "penstock.yaml: penstock.yaml cannot be read: Too many levels of symbolic links",
    "a named pipe": "penstock.yaml: penstock.yaml cannot be read: it is not a file",
    "not there": "penstock.yaml: penstock.yaml cannot be read: No such file or directory",
    "no permission": "penstock.yaml: penstock.yaml cannot be read: Permission denied",
    "JSON cut in half": "penstock.yaml:1: is not valid YAML: while parsing a flow mapping, expected ',' or '}', but",
}
"""File, line, key and what to do, up to where the text grows long. A file that cannot be read has no line."""


@contextmanager
def without_rights() -> Iterator[None]:
    """As somebody who may not read a file that nobody may: root reads it all the same."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def restore(path: Path, text: str = GOOD) -> None:
    """Make it a good file again, whatever it has become; at once, as an editor does."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    draft = path.with_name("draft.yaml~")
    draft.write_text(text)
    draft.replace(path)
