"""The configuration's files, taken up on demand."""

from __future__ import annotations

import msgspec

from gates.api.operations import Call, Name, Operation, Reason
from gates.configured import Rehearsal, Taken
from gates.reload import Reloader


class Reload(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a reload. With `dry_run` nothing is changed, and the answer tells what would be."""

    dry_run: bool = False
    by: Name = ""
    reason: Reason = ""


class Files:
    """The reloader's door."""

    def __init__(self, reloader: Reloader) -> None:
        self._reloader = reloader

    def operations(self) -> list[Operation]:
        tells = "Take up what the configuration's files say now; or, with `dry_run`, tell what that would change."
        return [Operation("POST", "/api/reload", tells, self._reload, body=Reload, answer=Taken | Rehearsal)]

    async def _reload(self, call: Call) -> Taken | Rehearsal:
        body: Reload = call.body
        if body.dry_run:
            return await self._reloader.rehearse()
        return await self._reloader.reload(call.caller, body.reason)
