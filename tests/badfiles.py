"""Sixty ways for a configuration to be bad, each of which changes a good one that names one model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
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
    "JSON cut in half": _text(json.dumps({"models": {}})[:-1]),
}


def restore(path: Path, text: str = GOOD) -> None:
    """Make it a good file again, whatever it has become; at once, as an editor does."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    draft = path.with_name("draft.yaml~")
    draft.write_text(text)
    draft.replace(path)
