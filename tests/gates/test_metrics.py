from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gates.drift import psi
from gates.metrics import BOUNDS, Metrics
from gates.phases import Event
from proxy.comparison import Comparison
from proxy.outputs import OutputTally
from proxy.push import Push, Sample
from proxy.snapshot import Phase
from proxy.window import Window
from tests.control import MODEL, Desk, in_loop, model_settings
from tests.fakes import FakeRegistry
from tests.gates.controller.test_errands import errands_at

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(desk: Desk) -> Series:
    """Every series, as Prometheus reads it."""
    registry = CollectorRegistry()
    registry.register(
        Metrics(
            desk.controller,
            errands_at(desk) if desk.registry else None,
            desk.reloader,
            desk.guard.refused,
            desk.alerting.outcomes,
        )
    )
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families for sample in family.samples]
    assert len({(s.name, frozenset(s.labels.items())) for s in samples}) == len(samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def value(series: Series, name: str, **labels: str) -> float:
    return series[f"penstock_{name}", frozenset(labels.items())]


def counters(series: Series) -> Series:
    return {key: v for key, v in series.items() if key[0].endswith(("_total", "_bucket", "_count", "_sum"))}


@in_loop
async def test_answers_are_told_by_model_version_variant_and_role() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await worker.poll()
        worker.traffic(20, failures=3, differing=2)
        worker.push()
        series = scraped(desk)
        candidate = {"model": MODEL, "version": "42", "variant": "candidate", "role": "shadow"}
        champion = {"model": MODEL, "version": "40", "variant": "champion", "role": "live"}
        assert value(series, "requests_total", **candidate) == 20
        assert value(series, "requests_total", **champion) == 20
        assert value(series, "errors_total", **candidate, code="status_5xx") == 3
        assert value(series, "latency_seconds_count", **champion) == 20
        assert value(series, "latency_seconds_sum", **champion) == pytest.approx(0.2)
        assert value(series, "first_byte_seconds_count", **champion) == 20
        assert value(series, "first_byte_seconds_sum", **champion) == pytest.approx(0.1)
        assert value(series, "comparisons_total", model=MODEL, outcome="disagreed") == 2
        assert value(series, "comparisons_total", model=MODEL, outcome="agreed") == 18
        assert value(series, "shadow_total", model=MODEL, outcome="sent") == 20


@in_loop
async def test_drops_fallbacks_and_skipped_pairs_are_told() -> None:
    async with Desk() as desk:
        window = Window(fallbacks=4)
        window.shadow.drop("in_flight")
        window.candidate.ask()
        window.candidate.abandon(2.0)
        window.agreement.observe(Comparison(skipped="encoded"))
        desk.controller.push(Push("w", 1, (Sample(MODEL, desk.route.epoch, window),)))
        series = scraped(desk)
        assert value(series, "fallbacks_total", model=MODEL) == 4
        candidate = {"model": MODEL, "version": "42", "variant": "candidate", "role": "live"}
        assert value(series, "abandoned_total", **candidate) == 1
        assert value(series, "requests_total", **candidate) == 0
        assert value(series, "shadow_total", model=MODEL, outcome="dropped_in_flight") == 1
        assert value(series, "comparisons_total", model=MODEL, outcome="skipped") == 1


@in_loop
async def test_coverage_noise_and_drift_are_told_without_the_answers_own_names() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await worker.poll()
        window = worker.window()
        for comparison in (*[Comparison()] * 3, Comparison(skipped="cpu_budget")):
            window.agreement.observe(comparison)
        for comparison in (*[Comparison()] * 4, Comparison("label", rows=1, rows_disagreed=1)):
            window.noise.observe(comparison)
        ours, theirs = OutputTally(labels={"jane": 80, "joe": 20}), OutputTally(labels={"jane": 60, "joe": 40})
        window.champion_outputs["secret"], window.candidate_outputs["secret"] = ours, theirs
        await desk.wait(1, worker)
        series = scraped(desk)
        assert value(series, "agreement_coverage", model=MODEL) == 0.75
        assert value(series, "agreement_noise", model=MODEL) == pytest.approx(0.2)
        assert value(series, "output_drift", model=MODEL) == pytest.approx(psi(ours, theirs))
        assert not [key for key in series if "jane" in str(key) or "secret" in str(key)]


@in_loop
async def test_counters_never_go_back_and_the_champion_is_one_series_throughout() -> None:
    async with Desk() as desk:
        worker, before = desk.worker(), counters(scraped(desk))
        for event in (None, Event.CLIMB, Event.ROLL_BACK, None):
            if event is not None:
                await desk.command(event)
            await worker.poll()
            worker.traffic(10)
            worker.push()
            after = counters(scraped(desk))
            assert all(after[key] >= count for key, count in before.items())
            before = after
        champion = {"model": MODEL, "version": "40", "variant": "champion"}
        assert value(before, "requests_total", **champion, role="live") == 30
        assert value(before, "requests_total", **champion, role="shadow") == 10


@in_loop
async def test_phase_share_and_gates_are_told() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.climb_to(Phase.RAMP, 500, worker)
        await desk.wait(1, worker)
        worker.traffic(200, failures=100)
        await desk.wait(1, worker)
        series = scraped(desk)
        assert value(series, "ramp_percent", model=MODEL) == 0
        assert value(series, "phase", model=MODEL, phase="rolled_back") == 1
        assert sum(v for (name, _), v in series.items() if name == "penstock_phase") == 1
        assert value(series, "gate_verdict", model=MODEL, gate="errors", verdict="FAIL") == 1
        assert value(series, "gate_progress", model=MODEL, gate="errors", verdict="FAIL") == 1
        assert value(series, "gate_value", model=MODEL, gate="errors") == 0.5
        assert value(series, "gate_limit", model=MODEL, gate="errors") == 0.05


@in_loop
async def test_the_control_planes_own_health_is_told() -> None:
    async with Desk(registry=FakeRegistry()) as desk:
        worker, behind = desk.worker(), desk.worker("behind")
        await worker.poll()
        behind.push()
        series = scraped(desk)
        assert value(series, "generation") == desk.controller.snapshot.generation
        assert (value(series, "workers_live"), value(series, "workers_behind")) == (2, 1)
        assert (value(series, "store_up"), value(series, "registry_up")) == (1, 1)
        desk.store.broken = "gone"
        await desk.controller.keep()
        assert value(scraped(desk), "store_up") == 0


@in_loop
async def test_labels_come_from_the_configuration() -> None:
    async with Desk(model_settings(candidate=None)) as desk:
        desk.controller.push(Push("w", 1, (Sample("<script>", 1, Window()), Sample(MODEL, 999, Window()))))
        models = {dict(labels).get("model") for _, labels in scraped(desk)}
        assert models == {MODEL, None}


@given(st.lists(st.floats(0, 60), max_size=30))
def test_a_bucket_holds_what_ended_below_its_bound(times: list[float]) -> None:
    """Within the 6.25 % that a sample's own bucket may be wide."""

    @in_loop
    async def scrape() -> None:
        async with Desk(model_settings(candidate=None)) as desk:
            window = Window()
            for seconds in times:
                window.champion.observe(200, seconds)
            desk.controller.push(Push("w", 1, (Sample(MODEL, desk.route.epoch, window),)))
            series = scraped(desk)
            arm = {"model": MODEL, "version": "40", "variant": "champion", "role": "live"}
            for bound in BOUNDS:
                told = value(series, "latency_seconds_bucket", **arm, le=str(bound))
                assert sum(t <= bound * 0.93 for t in times) <= told <= sum(t <= bound for t in times)
            assert value(series, "latency_seconds_bucket", **arm, le="+Inf") == len(times)

    scrape()
