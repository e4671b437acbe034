"""Where a request goes: its target, checked, and taken apart."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from proxy.errors import RequestRefused

# A target that every parser reads in the same way: one leading slash, visible characters, whole percent escapes, no
# NUL.
_SANE_TARGET = re.compile(rb"/(?![/\\])(?:[!\"$&-~]|%(?!00)[0-9A-Fa-f]{2})*").fullmatch
# Some servers unescape a slash before they resolve dots, some read a backslash as one (the URL standard's parsers), and
# some cut a segment's parameters off first (`..;`).
_SLASH = rb"[/\\]|%2[fF]|%5[cC]"
_DOT_SEGMENT = re.compile(rb"(?:%b)(?:\.|%%2[eE]){1,2}(?:%b|;|%%3[bB]|$)" % (_SLASH, _SLASH)).search


class Location(NamedTuple):
    """A target byte for byte, and its parts: the path, decoded and as it came, and the query."""

    target: bytes
    path: str
    raw_path: bytes
    query: bytes


@lru_cache(maxsize=256)  # a model server has a few paths, asked for again and again
def locate(target: bytes) -> Location:
    """Raises RequestRefused for a target that is not safe to forward."""
    raw_path, _, query = target.partition(b"?")
    if not _SANE_TARGET(target) or _DOT_SEGMENT(raw_path):
        raise RequestRefused("a request target that is not safe to forward")
    path = raw_path.decode("ascii")
    return Location(target, unquote(path) if "%" in path else path, raw_path, query)
