"""What a worker shows its control plane: a token, from a file or from the environment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

logger = logging.getLogger("penstock.link")

VARIABLES = ("PENSTOCK_WORKERS_TOKEN", "PENSTOCK_TOKEN")
"""The first that is set holds the token, where no file is named."""


class Credential:
    """A file is read anew each time, so that a token can be replaced while the worker runs."""

    def __init__(self, file: Path | None, environment: Mapping[str, str]) -> None:
        self._file = file
        self._token = next((environment[name] for name in VARIABLES if environment.get(name)), "")

    def field(self) -> bytes:
        """The header field, with its line end; empty where there is no token."""
        token = self._token if self._file is None else self._read(self._file)
        if not token or not (token.isascii() and token.isprintable()):
            return b""
        return b"authorization: Bearer %b\r\n" % token.encode()

    def _read(self, file: Path) -> str:
        try:
            return file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            logger.warning("the token cannot be read from %s: %s", file, error)
            return ""
