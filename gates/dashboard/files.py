"""The files of the page, read once, compressed once, and told apart by their content."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PLOTLY = "plotly.js"


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent."""

    kind: str
    content: bytes
    compressed: bytes
    tag: str


@cache
def load(name: str) -> File:
    """Raises FileNotFoundError for a name that the dashboard does not have."""
    content = _plotly().read_bytes() if name == PLOTLY else _own(name)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return File(KINDS[Path(name).suffix], content, gzip.compress(content, 6, mtime=0), tag)


def _own(name: str) -> bytes:
    for entry in files("gates.dashboard").joinpath("static").iterdir():
        if entry.name == name and Path(name).suffix in KINDS:
            return entry.read_bytes()
    raise FileNotFoundError(f"the dashboard has no file {name!r}")


def _plotly() -> Path:
    """The library's own bundle; found, and not imported: none of its Python is needed."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package plotly is not installed")
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"
