"""What a browser is shown: the files of the dashboard, which asks the API for the rest."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from gates.api.operations import Call, Operation
from gates.api.refusals import Refusal
from gates.dashboard.files import File, load

HTML = "text/html"
SAME = {304: "The file is the one that the browser has."}
# Nothing is loaded from elsewhere, no script or style stands in the page, and no other page may frame it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "vary": "accept-encoding",
    "cache-control": "no-cache",  # asked for each time, and answered by 304 while it is the same
}


class Pages:
    """One page and its parts. They hold no data: anybody may have them, and is asked for a token by the API."""

    def operations(self) -> list[Operation]:
        return [
            Operation("GET", "/", "The dashboard.", self._page, media=HTML, any_time=True, also=SAME),
            Operation("GET", "/dashboard/{name}", "A part of it.", self._part, media="*/*", any_time=True, also=SAME),
        ]

    async def _page(self, call: Call) -> Response:
        return await _sent(call, "index.html")

    async def _part(self, call: Call) -> Response:
        return await _sent(call, str(call.request.path_params["name"]))


async def _sent(call: Call, name: str) -> Response:
    """Read in a thread: to compress the chart library for the first time takes a moment."""
    try:
        file: File = await asyncio.to_thread(load, name)
    except FileNotFoundError as missing:
        raise Refusal(404, "no_such_file", str(missing)) from None
    asked = call.request.headers
    headers = HEADERS | {"etag": file.tag}
    if asked.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    if "gzip" not in asked.get("accept-encoding", ""):
        return Response(file.content, headers=headers, media_type=file.kind)
    return Response(file.compressed, headers=headers | {"content-encoding": "gzip"}, media_type=file.kind)
