"""What whoever keeps it running asks: metrics and probes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.responses import PlainTextResponse, Response

from gates.alerting import Alerting
from gates.api.guard import Guard
from gates.api.operations import Call, Operation
from gates.controller.controller import Controller
from gates.controller.errands import Errands
from gates.metrics import Metrics
from gates.ports import StoreError
from gates.reload import Reloader

TEXT = "text/plain"


class Upkeep:
    """Metrics and probes are answered by a control plane that waits, too."""

    def __init__(
        self, controller: Controller, errands: Errands | None, reloader: Reloader, guard: Guard, alerting: Alerting
    ) -> None:
        self._controller = controller
        self._registry = CollectorRegistry()
        self._registry.register(Metrics(controller, errands, reloader, guard.refused, alerting.outcomes))

    def operations(self) -> list[Operation]:
        return [
            Operation("GET", "/metrics", "All that Prometheus reads.", self._metrics, media=TEXT, any_time=True),
            Operation("GET", "/-/live", "Whether the process lives.", self._live, media=TEXT, any_time=True),
            Operation("GET", "/-/ready", "Whether it acts, and its store answers.", self._ready, media=TEXT),
        ]

    async def _metrics(self, call: Call) -> Response:
        encode, kind = choose_encoder(call.request.headers.get("accept", ""))
        return Response(encode(self._registry), headers={"content-type": kind})

    async def _live(self, call: Call) -> Response:
        return PlainTextResponse("live\n")

    async def _ready(self, call: Call) -> Response:
        if self._controller.store_trouble:
            raise StoreError(self._controller.store_trouble)
        return PlainTextResponse("ready\n")
