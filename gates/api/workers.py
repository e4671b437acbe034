"""What workers ask: the snapshot that they are to route by, by a long poll, and where to put what they have seen."""

from __future__ import annotations

from typing import Annotated

import msgspec
from starlette.responses import Response

from gates.api.operations import JSON, Call, Operation, read
from gates.api.refusals import Refusal
from gates.controller.controller import Controller
from proxy.push import decode_push

POLL_SECONDS = 20.0
MAX_PUSH = 16 * 1024 * 1024
MAX_NUMBER = 2**63 - 1
"""What no store can keep would end the control loop, again and again."""


class Poll(msgspec.Struct):
    """Who asks, and the generation that it routes by."""

    worker: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    generation: Annotated[int, msgspec.Meta(ge=0)] = 0


class Workers:
    """The two messages between the planes."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def operations(self) -> list[Operation]:
        snapshot = "The snapshot, as soon as it is another than the worker's; 204 where none comes for 20 s."
        return [
            Operation("GET", "/link/snapshot", snapshot, self._snapshot, query=Poll, also={204: "Nothing new."}),
            Operation("POST", "/link/windows", "Bring what a worker has seen.", self._windows, status=204),
        ]

    async def _snapshot(self, call: Call) -> Response:
        raw = await self._controller.poll(call.query.worker, call.query.generation, POLL_SECONDS)
        return Response(status_code=204) if raw is None else Response(raw, media_type=JSON)

    async def _windows(self, call: Call) -> Response:
        try:
            push = decode_push(await read(call.request, MAX_PUSH))
        except ValueError as error:
            raise Refusal(422, "bad_push", str(error)) from None
        if "\0" in push.worker:
            raise Refusal(422, "bad_push", "the worker's name holds a NUL")
        if not all(0 <= number <= MAX_NUMBER for number in (push.sequence, *(each.epoch for each in push.samples))):
            raise Refusal(422, "bad_push", "a sequence or an epoch that no worker comes to")
        self._controller.push(push)
        return Response(status_code=204)
