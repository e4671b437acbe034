"""What the commands of `penstock gate` share: which gates, which versions, whom to ask, and how the verdict is told."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gates import gathering
from gates.adapters.housekeeping import Housekeeping
from gates.adapters.prometheus import Prometheus
from gates.adapters.versions import MlflowVersions
from gates.cli.asking import client_of
from gates.cli.options import Telling
from gates.exits import Exit, Failure
from gates.ports import MetricsError, NotRegistered, RegistryError
from gates.promotion.report import STAGES, Report, StageReport
from gates.promotion.series import SeriesGate
from gates.promotion.staging import Measurements
from gates.settings import NO_GATES, MlflowSettings, PromotionGates, Settings, SettingsError, load, load_promotion
from gates.shipped import gate_file
from gates.verdict import GateResult, Light

FORMATS = {"text": ".txt", "json": ".json", "markdown": ".md", "junit": ".xml"}
FIRST_LOOK_SECONDS = 5.0
"""How long a rollout that has just begun may take to be looked at."""
_EXITS = {Light.GO: Exit.GO, Light.WARNING: Exit.WARNING, Light.NO_GO: Exit.NO_GO}


@dataclass(frozen=True, slots=True)
class Versions:
    """Who is judged, by version numbers; "" where nobody is named."""

    model: str
    candidate: str = ""
    champion: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """The gates of a model, and where their facts are. Addresses may hold passwords, and are not printed."""

    model: str
    gates: PromotionGates
    mlflow: MlflowSettings | None
    prometheus: str | None

    @classmethod
    def of(
        cls,
        model: str,
        config: Path,
        gates: Path | None,
        tracking_uri: str | None,
        prometheus: str | None = None,
        optional: bool = False,
    ) -> Check:
        """What the options name comes before what the configuration says, which need not be there then. With `optional`
        there need be no gates. Raises Failure."""
        settings = _settings(config, needed=gates is None)
        mlflow = _mlflow(settings, tracking_uri)
        url = prometheus or (None if settings is None else settings.prometheus)
        chosen = _gates(gates) if gates is not None else _configured(settings, model, optional)
        return cls(model, chosen, mlflow, url)

    def versions(self) -> MlflowVersions:
        """Raises Failure."""
        return _versions(self.mlflow)

    def trial(self, candidate: str, champion: str | None) -> Versions:
        """The two versions by number, as the registry has them now. Raises Failure."""
        with asking():
            registry = self.versions()
            found = registry.resolve(self.model, candidate)
            serving = registry.resolve(self.model, champion) if champion else registry.champion(self.model)
        if serving is None:
            cause = f"{self.model} has no champion yet: no alias @champion, and no version in stage Production"
            raise Failure(f"{cause}; name one with --champion", Exit.REFUSED)
        if serving == found:
            raise Failure(
                f"{self.model}: version {found} is the champion already: name another candidate", Exit.REFUSED
            )
        return Versions(self.model, found, serving)

    @contextmanager
    def source(self, gates: Sequence[object]) -> Iterator[Prometheus | None]:
        """Prometheus, where one of the gates asks it. Raises Failure."""
        askers = [gate.name for gate in gates if isinstance(gate, SeriesGate)]
        if not askers:
            yield None
            return
        if self.prometheus is None:
            cause = f"gate {askers[0]} asks Prometheus, and no server is named"
            raise Failure(
                f"{cause}: name it with --prometheus-url, or `prometheus` in the configuration", Exit.CONFIGURATION
            )
        with Prometheus(self.prometheus) as source, asking():
            yield source


def registry(config: Path, tracking_uri: str | None) -> MlflowVersions:
    """The registry that is named, or that of the configuration. Raises Failure."""
    return _versions(_mlflow(_settings(config, needed=tracking_uri is None), tracking_uri))


def housekeeping(config: Path, tracking_uri: str | None) -> Housekeeping:
    """Of the same registry. Raises Failure."""
    mlflow = _named(_mlflow(_settings(config, needed=tracking_uri is None), tracking_uri))
    return Housekeeping(mlflow.tracking_uri, mlflow.registry_uri)


def offline(check: Check, trial: Versions) -> StageReport:
    """Raises Failure."""
    _require(check.gates.offline, "offline")
    progress(f"reading versions {trial.candidate} and {trial.champion} of {trial.model}")
    with asking():
        registry = check.versions()
        return gathering.judge_offline(check.gates.offline, registry, trial.model, trial.candidate, trial.champion)


def staging(check: Check, seen: Measurements) -> StageReport:
    """Raises Failure."""
    _require(check.gates.staging, "staging")
    with check.source(check.gates.staging) as source:
        return gathering.judge_staging(check.gates.staging, seen, source, time.time())


def live(check: Check, candidate: str, control: str) -> StageReport:
    """The gates of the candidate's rollout, where one is named, and those over Prometheus. Raises Failure."""
    rollouts = _of_the_rollout(check.model, candidate, control) if candidate else ()
    if not rollouts:
        _require(check.gates.live, "live")
    asked = {gate.name for gate in (*check.gates.live, *check.gates.production)}
    rollouts = tuple(gate for gate in rollouts if gate.gate not in asked)  # by the file that is named, here or later
    with check.source(check.gates.live) as source:
        series = gathering.judge_series(check.gates.live, source, time.time())
    return StageReport.of("live", (*rollouts, *series.gates))


def _of_the_rollout(model: str, candidate: str, control: str) -> tuple[GateResult, ...]:
    """As the control plane sees them now; at its first look, where the rollout has just begun. Raises Failure for a
    version that is not on trial: no rollout, no verdict."""
    with client_of(control) as client:
        rollout = client.model(model).rollout
        deadline = time.monotonic() + FIRST_LOOK_SECONDS
        while rollout is not None and not rollout.gates and time.monotonic() < deadline:
            time.sleep(0.1)
            rollout = client.model(model).rollout
    if rollout is None or rollout.candidate != candidate:
        tried = "none" if rollout is None else rollout.candidate
        raise Failure(
            f"{model}: version {candidate} is not on trial; the newest rollout's candidate: {tried}", Exit.REFUSED
        )
    source = f"rollout {rollout.id}, {rollout.phase}"
    return tuple(replace(gate, source=source) for gate in rollout.gates)


def production(check: Check, candidate: str, control: str) -> StageReport:
    """By the control plane's record. Raises Failure."""
    _require(check.gates.production, "production")
    with client_of(control) as client:
        facts = client.production(check.model, candidate)
    with check.source(check.gates.production) as source:
        return gathering.judge_production(check.gates.production, facts, source, time.time())


def stages_of(check: Check, named: str) -> list[str]:
    """Those that are named, or all that there are gates for. Raises Failure."""
    for stage in (wanted := [part.strip() for part in named.split(",") if part.strip()]):
        require("--stages", stage, STAGES)
    there: list[str] = [stage for stage in STAGES if getattr(check.gates, stage)]
    if not (wanted or there):
        raise Failure("the gate file names no gates: there is nothing to judge by", Exit.CONFIGURATION)
    return wanted or there


def record(report: Report, control: str) -> None:
    """Put it on the control plane's record. Raises Failure."""
    with client_of(control) as client:
        client.record(report)


def report(trial: Versions, stages: Sequence[StageReport]) -> Report:
    return Report.of(trial.model, trial.candidate, trial.champion, time.time(), stages)


def require(option: str, given: str, known: Iterable[str]) -> None:
    """Raises Failure."""
    if given not in (known := tuple(known)):
        raise Failure(f"{option} {given}: expected {', '.join(known)}", Exit.USAGE)


def conclude(report: Report, telling: Telling) -> Exit:
    """Print the report, keep it where asked, and turn its light into the exit status. Raises Failure."""
    require("--format", telling.format, FORMATS)
    if telling.output is not None:
        _keep(report, telling.output)
    if telling.printed == "text":
        from rich.console import Console

        from gates.promotion.text import as_text

        Console().print(as_text(report))
    else:
        sys.stdout.write(_written(report, telling.printed))
    if not telling.strict and report.light is not Light.GO:
        print(f"penstock: {report.light}, and exit status 0, as --strict was not asked for", file=sys.stderr)
    return _EXITS[report.light] if telling.strict else Exit.GO


def _written(report: Report, format: str) -> str:
    from gates.promotion import documents

    match format:
        case "json":
            return documents.as_json(report)
        case "markdown":
            return documents.as_markdown(report)
        case "junit":
            return documents.as_junit(report)
    from rich.console import Console

    from gates.promotion.text import as_text

    console = Console(width=120, no_color=True)
    with console.capture() as captured:
        console.print(as_text(report))
    return captured.get()


def _keep(report: Report, output: Path) -> None:
    by_suffix = {suffix: format for format, suffix in FORMATS.items()}
    if output.suffix not in by_suffix:
        raise Failure(f"--output {output}: expected a name that ends in {', '.join(by_suffix)}", Exit.USAGE)
    try:
        output.write_text(_written(report, by_suffix[output.suffix]), "utf-8")
    except OSError as error:
        raise Failure(f"--output {output}: {error.strerror}", Exit.UNAVAILABLE) from None


def _settings(config: Path, needed: bool) -> Settings | None:
    """A configuration that is there has to be sound; one that is not there may not be needed."""
    if not needed and not config.exists():
        return None
    try:
        return load(config)
    except SettingsError as error:
        raise Failure(str(error), Exit.CONFIGURATION) from None


def _mlflow(settings: Settings | None, tracking_uri: str | None) -> MlflowSettings | None:
    if tracking_uri is not None:
        return MlflowSettings(tracking_uri, None, "penstock")
    return None if settings is None else settings.mlflow


def _named(mlflow: MlflowSettings | None) -> MlflowSettings:
    if mlflow is None:
        remedy = "name it with --tracking-uri, MLFLOW_TRACKING_URI, or `mlflow` in the configuration"
        raise Failure(f"no MLflow registry is named: {remedy}", Exit.CONFIGURATION)
    return mlflow


def _versions(mlflow: MlflowSettings | None) -> MlflowVersions:
    return MlflowVersions(_named(mlflow).tracking_uri, _named(mlflow).registry_uri)


def _gates(file: Path) -> PromotionGates:
    try:
        return load_promotion(gate_file(file))
    except SettingsError as error:
        raise Failure(str(error), Exit.CONFIGURATION) from None


def _configured(settings: Settings | None, model: str, optional: bool) -> PromotionGates:
    models = () if settings is None else settings.models
    found = next((one for one in models if one.name == model), None)
    if found is None:
        known = ", ".join(one.name for one in models) or "none"
        cause = f"the configuration has no model {model!r}; it has: {known}"
        raise Failure(f"{cause}. Name one with --model, or a file of gates with --gates", Exit.REFUSED)
    if found.promotion == NO_GATES and not optional:
        cause = f"{model} has no promotion gates in the configuration"
        raise Failure(f"{cause}: add `promotion: !include gates/promotion.yaml`, or name --gates", Exit.CONFIGURATION)
    return found.promotion


def _require(gates: Sequence[object], stage: str) -> None:
    """No gate is no verdict."""
    if not gates:
        raise Failure(f"the gate file names no gates under `{stage}`: there is nothing to judge by", Exit.CONFIGURATION)


def progress(text: str) -> None:
    """To standard error, so that what is printed can be kept."""
    print(f"{text} ...", file=sys.stderr)


@contextmanager
def asking() -> Iterator[None]:
    """What the registry or the metrics server could not tell is no verdict. Raises Failure."""
    try:
        yield
    except NotRegistered as error:
        raise Failure(str(error), Exit.REFUSED) from None
    except (RegistryError, MetricsError) as error:
        raise Failure(str(error), Exit.UNAVAILABLE) from None
