"""What a browser is shown."""

from __future__ import annotations

from importlib.resources import files

from starlette.responses import HTMLResponse, Response

from gates.api.operations import Call, Operation

HTML = "text/html"


class Pages:
    """One page, which asks the API for the rest."""

    def __init__(self) -> None:
        self._page = files("gates").joinpath("page.html").read_text("utf-8")

    def operations(self) -> list[Operation]:
        return [Operation("GET", "/", "How the rollouts stand, to look at.", self._show, media=HTML, any_time=True)]

    async def _show(self, call: Call) -> Response:
        policy = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
        return HTMLResponse(self._page, headers={"content-security-policy": f"{policy}; frame-ancestors 'none'"})
