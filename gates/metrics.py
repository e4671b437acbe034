"""Prometheus metrics, read at each scrape from the merged windows and from where things stand.

Models, versions and gates come from the configuration, codes and reasons from the data plane's own short lists: no
label is ever a client's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gates.alerts import Urgency
from gates.controller.controller import Controller
from gates.controller.errands import Errands
from gates.controller.ledger import Versions
from gates.reload import Reloader
from gates.status import ModelStatus
from gates.verdict import Light, Verdict
from proxy.histogram import Histogram, lower_edge
from proxy.snapshot import Phase
from proxy.tally import LaneTally
from proxy.window import Window, merge_all

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds. A bucket counts the samples whose own bucket, at most 6.25 % wide, ends at or below its bound."""

_ARM = ("model", "version", "variant", "role")

Arm = tuple[str, str, str, str]
"""Model, version, variant, and `live` for answers to clients or `shadow` for answers to copies."""


class Metrics(Collector):
    """All that the control plane tells Prometheus. Counters begin at what the store kept and never go back."""

    def __init__(
        self,
        controller: Controller,
        errands: Errands | None,
        reloader: Reloader,
        refused: Mapping[str, int],
        alerts: Mapping[tuple[Urgency, str], int],
    ) -> None:
        """`refused` counts whom the control port did not let in, by reason; `alerts` is by urgency and outcome."""
        self._controller = controller
        self._errands = errands
        self._reloader = reloader
        self._refused = refused
        self._alerts = alerts

    def collect(self) -> Iterator[Metric]:
        yield _gauge(
            "acting", "Whether this control plane acts, or waits for another to end.", self._controller.started
        )
        yield from self._configuration()
        refused = CounterMetricFamily("penstock_control_refused", "Requests not let in, by reason.", labels=("reason",))
        for reason, number in self._refused.items():
            refused.add_metric((reason,), number)
        yield refused
        alerts = CounterMetricFamily(
            "penstock_alerts", "Alerts, by what became of them.", labels=("urgency", "outcome")
        )
        for (urgency, outcome), number in self._alerts.items():
            alerts.add_metric((urgency, outcome), number)
        yield alerts
        if not self._controller.started:
            return
        ledger = self._controller.observer.ledger
        totals = {route.model: ledger.totals(route.model) for route in self._controller.snapshot.routes}
        yield from _answers(_arms(totals))
        yield from _comparisons({model: merge_all(windows.values()) for model, windows in totals.items()})
        yield from _rollouts(self._controller.queries.status().models)
        yield from self._control()

    def _configuration(self) -> Iterator[Metric]:
        status = self._reloader.status
        reloads = CounterMetricFamily("penstock_config_reloads", "Reloads, by how they ended.", labels=("outcome",))
        for outcome, number in self._reloader.outcomes.items():
            reloads.add_metric((outcome,), number)
        yield reloads
        yield _gauge("config_sound", "Whether the files as they are now are in force.", not status.trouble)
        yield _gauge("config_taken_timestamp_seconds", "When the configuration in force was taken up.", status.taken_at)
        waits = len(status.waits_for_restart)
        yield _gauge("config_waits_for_restart", "Changed keys that only a new start of the process takes up.", waits)

    def _control(self) -> Iterator[Metric]:
        generation = self._controller.snapshot.generation
        live = self._controller.observer.live().values()
        store = not self._controller.store_trouble
        yield _gauge("generation", "Generation of the routing truth in force.", generation)
        yield _gauge("workers_live", "Data-plane workers heard within the last 3 s.", len(live))
        behind = sum(held != generation for held in live)
        yield _gauge("workers_behind", "Live workers that do not route by the newest generation yet.", behind)
        yield _gauge("store_up", "Whether the store did what it was last asked.", store)
        if self._errands is not None:
            yield _gauge("registry_up", "Whether the registry did what it was last asked.", not self._errands.trouble)
            yield _gauge("errands_waiting", "What the registry has not been told yet.", self._errands.waiting)


def _arms(totals: Mapping[str, Mapping[Versions, Window]]) -> dict[Arm, LaneTally]:
    arms: dict[Arm, LaneTally] = {}
    for model, windows in totals.items():
        for versions, window in windows.items():
            for arm, tally in _lanes(model, versions, window):
                arms[arm] = arms.get(arm, LaneTally()).merged(tally)
    return arms


def _lanes(model: str, versions: Versions, window: Window) -> Iterator[tuple[Arm, LaneTally]]:
    yield (model, versions.champion, "champion", "live"), window.champion
    if versions.candidate:
        yield (model, versions.candidate, "candidate", "live"), window.candidate
        yield (model, versions.candidate, "candidate", "shadow"), window.candidate_shadow
        yield (model, versions.champion, "champion", "shadow"), window.champion_shadow


def _answers(arms: Mapping[Arm, LaneTally]) -> Iterator[Metric]:
    requests = CounterMetricFamily("penstock_requests", "Answers of the models, failures included.", labels=_ARM)
    errors = CounterMetricFamily("penstock_errors", "Failed answers, by what went wrong.", labels=(*_ARM, "code"))
    latency = HistogramMetricFamily("penstock_latency_seconds", "Time to the end of an answer.", labels=_ARM)
    first = HistogramMetricFamily("penstock_first_byte_seconds", "Time to the head of an answer.", labels=_ARM)
    left = CounterMetricFamily(
        "penstock_abandoned",
        "Requests whose client did not wait for the answer, while there is a candidate.",
        labels=_ARM,
    )
    for arm, tally in arms.items():
        left.add_metric(arm, tally.abandoned.total)
        requests.add_metric(arm, tally.answers)
        for code, count in sorted(tally.errors.items()):
            errors.add_metric((*arm, code), count)
        latency.add_metric(arm, _buckets(tally.latency), tally.latency.sum_micros / 1e6)
        first.add_metric(arm, _buckets(tally.first_byte), tally.first_byte.sum_micros / 1e6)
    yield from (requests, errors, left, latency, first)


def _buckets(histogram: Histogram) -> Sequence[tuple[str, float]]:
    counts = [0] * (len(BOUNDS) + 1)
    for index, count in histogram.counts.items():
        counts[bisect_left(BOUNDS, lower_edge(index + 1) / 1e6)] += count
    return list(zip([*map(str, BOUNDS), "+Inf"], map(float, accumulate(counts)), strict=True))


def _comparisons(windows: Mapping[str, Window]) -> Iterator[Metric]:
    labels = ("model", "outcome")
    pairs = CounterMetricFamily("penstock_comparisons", "Pairs of answers: agreed, disagreed, skipped.", labels=labels)
    copies = CounterMetricFamily("penstock_shadow", "Copies: sent, or dropped and why.", labels=labels)
    fallbacks = CounterMetricFamily(
        "penstock_fallbacks", "Requests that the champion answered for a failed candidate.", labels=("model",)
    )
    for model, window in windows.items():
        tally = window.agreement
        pairs.add_metric((model, "agreed"), tally.compared - tally.disagreed)
        pairs.add_metric((model, "disagreed"), tally.disagreed)
        pairs.add_metric((model, "skipped"), sum(tally.skipped.values()))
        copies.add_metric((model, "sent"), window.shadow.sent)
        for reason, count in sorted(window.shadow.dropped.items()):
            copies.add_metric((model, f"dropped_{reason}"), count)
        fallbacks.add_metric((model,), window.fallbacks)
    yield from (pairs, copies, fallbacks)


def _rollouts(models: Sequence[ModelStatus]) -> Iterator[Metric]:
    percent = GaugeMetricFamily("penstock_ramp_percent", "The candidate's share of the traffic.", labels=("model",))
    phase = GaugeMetricFamily("penstock_phase", "1 for the phase of the rollout.", labels=("model", "phase"))
    verdict = GaugeMetricFamily("penstock_gate_verdict", "1 for the verdict.", labels=("model", "gate", "verdict"))
    progress = GaugeMetricFamily(
        "penstock_gate_progress",
        "Part, 0 to 1, of the evidence that a verdict needs.",
        labels=("model", "gate", "verdict"),
    )
    value = GaugeMetricFamily("penstock_gate_value", "What the gate sees, in its unit.", labels=("model", "gate"))
    limit = GaugeMetricFamily("penstock_gate_limit", "What the gate allows, in its unit.", labels=("model", "gate"))
    lights = GaugeMetricFamily(
        "penstock_traffic_light", "1 for what the gates say together.", labels=("model", "light")
    )
    for status in models:
        if status.rollout is not None:
            _one_hot(lights, (status.model,), Light, status.rollout.light)
        percent.add_metric((status.model,), status.percent)
        _one_hot(phase, (status.model,), Phase, status.phase)
        for gate in status.rollout.gates if status.rollout else ():
            labels = (status.model, gate.gate)
            _one_hot(verdict, labels, Verdict, gate.verdict)
            progress.add_metric((*labels, Verdict.PASS), gate.toward_pass)
            progress.add_metric((*labels, Verdict.FAIL), gate.toward_fail)
            limit.add_metric(labels, gate.limit)
            if gate.value is not None:
                value.add_metric(labels, gate.value)
    yield from (percent, phase, lights, verdict, progress, value, limit)
    yield from _likeness(models)


def _likeness(models: Iterable[ModelStatus]) -> Iterator[Metric]:
    """How far the answers of the present stage can be laid side by side, and how they are distributed. The columns of
    answers are no labels: they are a model's to name."""
    coverage = GaugeMetricFamily(
        "penstock_agreement_coverage", "Share, 0 to 1, of the comparable pairs that were compared.", labels=("model",)
    )
    noise = GaugeMetricFamily(
        "penstock_agreement_noise",
        "Share, 0 to 1, of the probes that the champion answers otherwise.",
        labels=("model",),
    )
    drift = GaugeMetricFamily(
        "penstock_output_drift", "Population stability index of the column that differs most.", labels=("model",)
    )
    for status in models:
        if status.rollout is None:
            continue
        agreement, indices = (
            status.rollout.agreement,
            [one.psi for one in status.rollout.outputs if one.psi is not None],
        )
        if agreement.coverage is not None:
            coverage.add_metric((status.model,), agreement.coverage)
        if agreement.noise is not None:
            noise.add_metric((status.model,), 1 - agreement.noise)
        if indices:
            drift.add_metric((status.model,), max(indices))
    yield from (coverage, noise, drift)


def _one_hot(family: GaugeMetricFamily, labels: tuple[str, ...], kinds: type[StrEnum], present: StrEnum) -> None:
    for kind in kinds:
        family.add_metric((*labels, kind), kind is present)


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"penstock_{name}", documentation, value=value)
