"""The log of every process: one line an event, for people or as JSON, without secrets and without bodies.

PENSTOCK_LOG says which: `console`, or `json`. An environment variable, as it reaches every process of ours, and is
known before the first line. PENSTOCK_LOG_LEVEL is debug, info, warning or error.
"""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime

from proxy.discretion import discreet

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered, where one task answers it."""
_CHATTY = ("uvicorn", "alembic", "watchfiles", "httpx2", "httpcore2")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(environment: Mapping[str, str] = os.environ) -> None:
    """Set up this process's log, on standard error. What the environment says and nobody knows is told, and passed
    over."""
    kind, level = environment.get("PENSTOCK_LOG", "console"), environment.get("PENSTOCK_LOG_LEVEL", "info").lower()
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if kind == "json" else ConsoleLines())
    logging.basicConfig(level=_LEVELS.get(level, logging.INFO), handlers=[handler])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    if kind not in ("console", "json") or level not in _LEVELS:
        wanted = f"PENSTOCK_LOG is console or json, and PENSTOCK_LOG_LEVEL one of {', '.join(_LEVELS)}"
        logging.getLogger("penstock").warning("%s; found %r and %r", wanted, kind, level)


class ConsoleLines(logging.Formatter):
    """2026-11-29 13:09:28,732 INFO penstock.link[24329] routing by generation 2 (request abc)"""

    def format(self, record: logging.LogRecord) -> str:
        at = f"{self.formatTime(record)} {record.levelname} {record.name}[{record.process}]"
        parts = [record.getMessage(), *_trace(record)]
        if request := _request_id(record):
            parts.append(f"(request {request})")
        return f"{at} {_one_line(' '.join(parts))}"


class JsonLines(logging.Formatter):
    """{"at": "2026-11-29T13:09:28.732+00:00", "level": "info", "logger": …, "process": …, "message": …}"""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": discreet(record.getMessage()),
        }
        if request := _request_id(record):
            line["request_id"] = discreet(request)
        if trace := _trace(record):
            line["exception"] = discreet(trace[0])
        return json.dumps(line, ensure_ascii=False)


def _request_id(record: logging.LogRecord) -> str:
    return str(getattr(record, "request_id", "") or REQUEST_ID.get())


def _trace(record: logging.LogRecord) -> list[str]:
    if not record.exc_info or record.exc_info[0] is None:
        return []
    return ["".join(traceback.format_exception(*record.exc_info)).rstrip()]


def _one_line(text: str) -> str:
    """Whatever a name or a message holds begins no line of its own."""
    return " | ".join(part.strip() for part in discreet(text).splitlines() if part.strip())
