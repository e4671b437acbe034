"""What every answer of the control port is held to, whatever it is an answer to: its headers, and that a fault of ours
tells nobody how we are made."""

from __future__ import annotations

import logging
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gates.api.refusals import Refusal, refused
from proxy.logs import REQUEST_ID

logger = logging.getLogger("penstock.control")

HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
"""Where an answer has one of its own, as the dashboard's files do, that one stands."""


def _request_id(scope: Scope) -> str:
    """The caller's, if it is sane; else one of ours."""
    claimed = Headers(scope=scope).get("x-request-id", "") if scope["type"] == "http" else ""
    sane = 0 < len(claimed) <= 128 and claimed.isascii() and claimed.isprintable() and " " not in claimed
    return claimed if sane else uuid4().hex


class Hardened:
    """An ASGI app around another, which also names each request for the log.

    No middleware of a framework, as the long polls and streams go through it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id, begun = _request_id(scope), False
        REQUEST_ID.set(request_id)

        async def sent(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception:
            if begun or scope["type"] != "http":
                raise  # the server logs it, and breaks the answer off
            logger.exception("%s %s failed", scope["method"], scope["path"])
            fault = Refusal(
                500, "internal_error", "the control plane failed at this", f"its log has request {request_id}"
            )
            await refused(fault)(scope, receive, sent)
