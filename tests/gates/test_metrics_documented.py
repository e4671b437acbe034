"""docs/metrics.md tells of every metric that there is, and of no other; `make docs` writes it anew."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from gates.metrics import Metrics
from proxy.comparison import Comparison
from proxy.outputs import OutputTally
from tests.control import Desk, in_loop
from tests.fakes import FakeRegistry
from tests.gates.controller.test_errands import errands_at

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
HEAD = """\
# Metrics

Read from `GET /metrics` of the control port. Where that asks for tokens, a viewer's or a service_account's is enough.
Labels are never a client's: models, versions and gates come from the configuration, everything else from short lists of
ours. Counters go on after a restart.

| metric | type | labels | what it tells |
|---|---|---|---|
"""


async def metrics() -> list[Metric]:
    """Of a control plane in which there is one of each."""
    async with Desk(registry=FakeRegistry()) as desk:
        worker = desk.worker()
        await worker.poll()
        worker.traffic(100, failures=1, differing=1)
        window = worker.window()
        window.shadow.drop("in_flight")
        window.noise.observe(Comparison())
        window.champion_outputs[""] = window.candidate_outputs[""] = OutputTally(labels={"yes": 50, "no": 50})
        await desk.wait(2, worker)
        registry = CollectorRegistry()
        registry.register(
            Metrics(desk.controller, errands_at(desk), desk.reloader, desk.guard.refused, desk.alerting.outcomes)
        )
        return sorted(registry.collect(), key=lambda metric: metric.name)


def page(found: list[Metric]) -> str:
    return HEAD + "".join(f"{_row(metric)}\n" for metric in found)


def _row(metric: Metric) -> str:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    labels = {label for sample in metric.samples for label in sample.labels} - {"le"}
    ordered = [label for sample in metric.samples[:1] for label in sample.labels if label in labels]
    told = ", ".join(f"`{label}`" for label in ordered) or "none"
    return f"| `{name}` | {metric.type} | {told} | {metric.documentation} |"


@in_loop
async def test_the_page_tells_of_every_metric() -> None:
    assert PAGE.read_text() == page(await metrics()), "run `make docs`"


@in_loop
async def write() -> None:
    PAGE.write_text(page(await metrics()))
