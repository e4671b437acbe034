"""Facts gathered through the ports, and judged: what the command line and the controller both ask of a candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from gates.ports import MetricSource, Versions
from gates.promotion import offline, production, staging
from gates.promotion.offline import OfflineGate
from gates.promotion.production import ProductionFacts, ProductionGate
from gates.promotion.report import StageReport
from gates.promotion.series import Series, SeriesGate
from gates.promotion.staging import Measurements, StagingGate
from gates.promotion.versions import Trial

QUERIES_AT_ONCE = 6


def judge_offline(
    gates: Sequence[OfflineGate], versions: Versions, model: str, candidate: str, champion: str
) -> StageReport:
    """Both versions are read whole. Raises RegistryError."""
    trial = Trial(versions.facts(model, candidate), versions.facts(model, champion))
    return StageReport.of("offline", offline.judge(gates, trial))


def judge_staging(
    gates: Sequence[StagingGate], seen: Measurements, source: MetricSource | None, at: float
) -> StageReport:
    """Raises MetricsError."""
    answers = series_of(gates, source, at)
    return StageReport.of("staging", staging.judge(gates, seen, answers, _name(source)))


def judge_series(gates: Sequence[SeriesGate], source: MetricSource | None, at: float) -> StageReport:
    """Raises MetricsError."""
    answers = series_of(gates, source, at)
    return StageReport.of("live", [gate.judge(answers.get(gate.name, ()), _name(source)) for gate in gates])


def judge_production(
    gates: Sequence[ProductionGate], facts: ProductionFacts, source: MetricSource | None, at: float
) -> StageReport:
    """Raises MetricsError."""
    answers = series_of(gates, source, at)
    return StageReport.of("production", production.judge(gates, facts, answers, _name(source)))


def series_of(gates: Sequence[object], source: MetricSource | None, at: float) -> Mapping[str, Sequence[Series]]:
    """The answer to the query of each gate that has one, by gate; `at` is wall time. Raises MetricsError."""
    asking = [gate for gate in gates if isinstance(gate, SeriesGate)]
    if source is None or not asking:
        return {}
    with ThreadPoolExecutor(QUERIES_AT_ONCE, "queries") as pool:
        answers = pool.map(lambda gate: source.series(gate.query, gate.span, at), asking)
        return {gate.name: answer for gate, answer in zip(asking, answers, strict=True)}


def _name(source: MetricSource | None) -> str:
    return "Prometheus" if source is None else source.name
