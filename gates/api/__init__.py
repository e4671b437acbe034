"""The control port: what people and programs ask, what workers pull and push, and what Prometheus reads."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware

from gates.alerting import Alerting
from gates.api.files import Files
from gates.api.guard import Guard
from gates.api.hardening import Hardened
from gates.api.live import Live
from gates.api.openapi import OpenApi
from gates.api.operations import Operation, mount
from gates.api.outcomes import Outcomes
from gates.api.pages import Pages
from gates.api.people import People
from gates.api.policy import Policies
from gates.api.refusals import HANDLERS, Refusal
from gates.api.session import Session
from gates.api.telling import Telling
from gates.api.upkeep import Upkeep
from gates.api.workers import Workers
from gates.controller.controller import Controller
from gates.controller.errands import Errands
from gates.reload import Reloader


def create_app(
    controller: Controller, errands: Errands | None, reloader: Reloader, guard: Guard, alerting: Alerting
) -> Starlette:
    """The app over a controller that somebody else runs."""

    def require_acting() -> None:
        if controller.started:
            return
        if controller.lease.rival:
            cause = f"{controller.lease.rival} acts on this store; this control plane waits to take over"
            raise Refusal(503, "not_acting", cause, "ask that one, or try again")
        cause = controller.store_trouble or "it has only just begun"
        raise Refusal(503, "not_started", f"the control plane has not started yet: {cause}", "try again soon")

    routes = mount(_operations(controller, errands, reloader, guard, alerting), guard, require_acting)
    return Starlette(routes=routes, exception_handlers=HANDLERS, middleware=[Middleware(Hardened)])


def _operations(
    controller: Controller, errands: Errands | None, reloader: Reloader, guard: Guard, alerting: Alerting
) -> list[Operation]:
    people = People(controller, errands, reloader)
    described = [
        *Pages().operations(),
        *people.operations(),
        *Outcomes(controller).operations(),
        *Policies(controller).operations(),
        *Live(controller, people.look).operations(),
        *Workers(controller).operations(),
        *Files(reloader).operations(),
        *Session(guard).operations(),
        *Telling(alerting).operations(),
        *Upkeep(controller, errands, reloader, guard, alerting).operations(),
    ]
    return [*described, *OpenApi(described).operations()]
