"""What the dashboard watches: how things stand, told again and again, and the past of a rollout for its charts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec
from starlette.responses import Response, StreamingResponse

from gates.api.operations import Call, Operation
from gates.api.refusals import Refusal
from gates.controller.controller import Controller
from gates.controller.history import Point, Series
from gates.dashboard.feed import Crowded, Feeds
from gates.status import ControlStatus

EVENTS = "text/event-stream"
NEWEST_POINTS = 5
"""As many go with each picture: whoever missed more of them asks for the whole past again."""


class Subject(msgspec.Struct):
    """The model that is watched, all of them where none is named."""

    model: Annotated[str, msgspec.Meta(max_length=200)] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """How things stand; `points` are the newest of the model, where the picture is of one."""

    status: ControlStatus
    points: tuple[Point, ...] = ()


class Live:
    """`look` tells how things stand, of one model or of all."""

    def __init__(self, controller: Controller, look: Callable[[str | None], ControlStatus]) -> None:
        self._controller = controller
        self._look = look
        self._feeds = Feeds(ended=lambda: not controller.started or controller.released)

    def operations(self) -> list[Operation]:
        return [
            Operation(
                *("GET", "/api/stream", "How things stand, as server-sent events: a Picture about once a second."),
                self._stream,
                query=Subject,
                media=EVENTS,
            ),
            Operation(
                *("GET", "/api/models/{model}/history", "The points of the model's newest rollout, for charts."),
                self._history,
                answer=Series,
            ),
        ]

    async def _stream(self, call: Call) -> Response:
        model = call.query.model
        try:
            pictures = self._feeds.watch(model or "", lambda: self._picture(model))
        except Crowded as crowded:
            raise Refusal(503, "crowded", str(crowded), "close one, or use `penstock status --watch`") from None
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(pictures, media_type=EVENTS, headers=headers)

    async def _history(self, call: Call) -> Series:
        self._controller.queries.model_status(call.model)
        return self._controller.history.series(call.model)

    def _picture(self, model: str | None) -> bytes:
        points = self._controller.history.newest(model, NEWEST_POINTS) if model else ()
        return msgspec.json.encode(Picture(self._look(model), points))
