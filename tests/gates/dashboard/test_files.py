"""The files of the dashboard: complete, their own, and nothing that a strict policy forbids."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

import gates.dashboard
from gates.dashboard.files import PLOTLY, load

STATIC = Path(gates.dashboard.__file__).parent / "static"
NAMES = sorted(path.name for path in STATIC.iterdir())


@pytest.mark.parametrize("name", [*NAMES, PLOTLY])
def test_a_file_is_what_it_is_compressed_or_not(name: str) -> None:
    file = load(name)
    assert gzip.decompress(file.compressed) == file.content
    assert load(name) is file
    assert re.fullmatch(r'"[0-9a-f]{32}"', file.tag)


@pytest.mark.parametrize("name", ["nothing.js", "../files.py", "..", "", "files.py", "index.html/"])
def test_nothing_else_is_given_away(name: str) -> None:
    with pytest.raises(FileNotFoundError):
        load(name)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_file_asks_for_is_there_and_from_here(name: str) -> None:
    text = load(name).content.decode()
    asked = re.findall(r'(?:from|import) "\./([^"]+)"|(?:src|href)(?:="|: ")dashboard/([^"]+)"', text)
    for module, part in asked:
        assert load(module or part).content
    addresses = set(re.findall(r"\w+://[^\s\"'`]+", text)) - {"http://www.w3.org/2000/svg"}
    assert not addresses, "nothing is loaded from elsewhere"


def test_the_page_has_no_script_and_no_style_in_it() -> None:
    page = load("index.html").content.decode()
    assert re.findall(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", page) == []
    assert not [name for name in NAMES if name.endswith(".js") and "innerHTML" in load(name).content.decode()]


def test_every_module_is_used() -> None:
    text = "".join(load(name).content.decode() for name in NAMES)
    unused = [name for name in NAMES if name != "index.html" and f"/{name}" not in text]
    assert not unused
