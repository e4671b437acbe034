"""What people and programs ask: how the rollouts stand, what happened to them, and what is to happen next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import msgspec

from gates.access import RELEASE
from gates.api.operations import Call, Name, Operation, Reason, Version
from gates.api.refusals import Refusal
from gates.controller.controller import Controller
from gates.controller.errands import Errands
from gates.decision import Command
from gates.phases import WISHES, Event
from gates.reload import Reloader
from gates.state import AuditRow, Recorded
from gates.status import ControlStatus, ModelStatus, RegistryStatus


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """The body of pause and resume, and what all other wishes have."""

    by: Name = ""
    reason: Reason = ""

    def command(self, event: Event, by: str) -> Command:
        return Command(event, by, self.reason)


class Back(Wish, forbid_unknown_fields=True):
    """The body of a rollback. With `to`, another version serves from now on: "previous", "fallback", or a version that
    has servers, which whoever may not promote takes from those two alone; a rollout that is under way ends."""

    to: Name = ""


class Onward(Wish, forbid_unknown_fields=True):
    """`epoch` is that of the rollout, as the status had it when somebody made up their mind: where the rollout has
    moved on since, nothing is done."""

    epoch: int | None = None

    def command(self, event: Event, by: str) -> Command:
        return Command(event, by, self.reason, epoch=self.epoch)


class Advance(Onward, forbid_unknown_fields=True):
    """The body of an advance; with `approval` it approves, and does nothing where no approval is waited for."""

    approval: bool = False

    def command(self, event: Event, by: str) -> Command:
        return Command(event, by, self.reason, epoch=self.epoch, approving=self.approval)


class Promote(Onward, forbid_unknown_fields=True):
    """The body of a promotion; `override` makes it whatever the production gates say, and needs a reason."""

    override: bool = False


class Start(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a rollout's start; `candidate` is a version, or an alias such as "@challenger". `override` starts it
    whatever the cool-down after a rollback says, and the offline and staging gates, even where the registry does not
    answer; against gates and registry it needs a reason."""

    candidate: Version
    by: Name = ""
    reason: Reason = ""
    override: bool = False


class Newest(msgspec.Struct):
    """How many of the newest, of those of a generation and later ones."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    since: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0


_TELLS = {
    "advance": "Go on to the next stage now; also: approve it.",
    "pause": "Hold the rollout where it is; the gates go on watching.",
    "resume": "Let a paused rollout go on.",
    "rollback": "Give all traffic back to the champion now, and end the rollout.",
    "promote": "Make the candidate the champion now.",
}


_BODIES: Mapping[str, type[Wish]] = {"advance": Advance, "rollback": Back, "promote": Promote}


class Which(msgspec.Struct):
    """Of which rollout, by its id, and which findings; the newest rollout, and all of them, where it is not said."""

    rollout: Name = ""
    finding: Name = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1000


class People:
    """Each endpoint is one call of the controller."""

    def __init__(self, controller: Controller, errands: Errands | None, reloader: Reloader) -> None:
        self._controller = controller
        self._errands = errands
        self._reloader = reloader

    def operations(self) -> list[Operation]:
        model = "/api/models/{model}"
        return [
            Operation("GET", "/api/status", "Everything: models, workers, store.", self._status, answer=ControlStatus),
            Operation("GET", "/api/models", "All models.", self._models, answer=tuple[ModelStatus, ...]),
            Operation("GET", model, "One model, and its rollout.", self._model, answer=ModelStatus),
            Operation(
                *("GET", "/api/events", "What happened to all models, newest first.", self._events_of_all),
                query=Newest,
                answer=tuple[AuditRow, ...],
            ),
            Operation(
                *("GET", f"{model}/events", "What happened to the model, newest first.", self._events),
                query=Newest,
                answer=tuple[AuditRow, ...],
            ),
            Operation(
                *("GET", f"{model}/disagreements", "Pairs that differ, and copies that failed.", self._pairs),
                query=Which,
                answer=tuple[Recorded, ...],
            ),
            Operation(
                *("POST", f"{model}/rollout", "Start a rollout, with copies of the traffic first.", self._start),
                body=Start,
                answer=ModelStatus,
                status=201,
            ),
            *(
                Operation(
                    "POST",
                    f"{model}/rollout/{name}",
                    tells,
                    partial(self._wish, WISHES[name]),
                    body=_BODIES.get(name, Wish),
                    answer=ModelStatus,
                )
                for name, tells in _TELLS.items()
            ),
        ]

    def look(self, model: str | None = None) -> ControlStatus:
        """How things stand, of all models or of one."""
        errands = self._errands
        registry = None if errands is None else RegistryStatus(errands.waiting, errands.trouble)
        configuration = self._reloader.status
        return replace(self._controller.queries.status(model), registry=registry, configuration=configuration)

    async def _status(self, call: Call) -> ControlStatus:
        return self.look()

    async def _models(self, call: Call) -> tuple[ModelStatus, ...]:
        return self._controller.queries.status().models

    async def _model(self, call: Call) -> ModelStatus:
        return self._controller.queries.model_status(call.model)

    async def _events(self, call: Call) -> Sequence[AuditRow]:
        return await self._controller.queries.events(call.model, call.query.limit, call.query.since)

    async def _events_of_all(self, call: Call) -> Sequence[AuditRow]:
        return await self._controller.queries.events(None, call.query.limit, call.query.since)

    async def _pairs(self, call: Call) -> Sequence[Recorded]:
        which: Which = call.query
        pairs = await self._controller.queries.disagreements(call.model, which.rollout)
        return [pair for pair in pairs if which.finding in ("", pair.finding)][: which.limit]

    async def _start(self, call: Call) -> ModelStatus:
        body: Start = call.body
        await self._controller.start_rollout(call.model, body.candidate, call.caller, body.reason, body.override)
        return self._controller.queries.model_status(call.model)

    async def _wish(self, event: Event, call: Call) -> ModelStatus:
        if event is Event.ROLL_BACK and not call.body.reason.strip():
            remedy = 'send {"reason": "..."}: whoever reads the history will want to know'
            raise Refusal(422, "reason_missing", "a rollback needs a reason", remedy)
        if event is Event.ROLL_BACK and call.body.to:
            served = not call.identity.roles & RELEASE  # to let in what has not served before is a release
            await self._controller.revert(call.model, call.body.to, call.caller, call.body.reason, served)
            return self._controller.queries.model_status(call.model)
        command = call.body.command(event, call.caller)
        if event is Event.PROMOTE:
            await self._controller.promotions.promote(call.model, command, call.body.override)
        else:
            await self._controller.command(call.model, command)
        return self._controller.queries.model_status(call.model)
