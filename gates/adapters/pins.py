"""`model_versions.yaml`: which version of each model serves, and which to go back to, for whoever reads files."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import yaml

from gates.state import Serving

logger = logging.getLogger("penstock.control")

_HEAD = """\
# Written by Penstock at each promotion and rollback; a change made here is overwritten, and moves no traffic. Back:
#   penstock rollback MODEL --to previous|fallback|VERSION --reason TEXT
"""


def write(path: Path, servings: Iterable[Serving]) -> None:
    """Put it in place as a whole: a reader sees the old file or the new one. What fails is logged, and felt nowhere."""
    models = {serving.model: _versions(serving) for serving in sorted(servings, key=lambda serving: serving.model)}
    text = _HEAD + yaml.safe_dump({"models": models}, sort_keys=False)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, "utf-8")
        fresh.replace(path)
    except OSError as error:
        logger.error("%s cannot be written: %s", path, error.strerror)


def _versions(serving: Serving) -> dict[str, str]:
    named = {"current": serving.version, "previous": serving.previous, "fallback": serving.fallback}
    return {name: version for name, version in named.items() if version}
