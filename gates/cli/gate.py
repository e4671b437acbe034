"""`penstock gate`: one verdict on a candidate, by the gates of a stage or of them all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gates.cli.asking import asking
from gates.cli.bundles import bundled
from gates.cli.options import CONFIG, CONTROL, Config, Control, Telling, Tracking
from gates.exits import Exit

app = typer.Typer(help="Judge a candidate by its gates: GO, WARNING or NO-GO.", rich_markup_mode=None)

Model = Annotated[str, typer.Option("--model", metavar="MODEL", help="The model's name in the registry.")]
Candidate = Annotated[
    str, typer.Option("--candidate", metavar="VERSION", help="The version on trial, or an alias such as @challenger.")
]
Champion = Annotated[
    str | None,
    typer.Option(metavar="VERSION", show_default="the alias @champion", help="The version that it is to replace."),
]
PrometheusUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="PROMETHEUS_URL", show_default="the configuration's", help="Of its server."),
]
Remedy = Annotated[
    str,
    typer.Option(metavar="MODE", help="What to do about a NO-GO, by the gate file: off, dry-run (only tell) or act."),
]


@dataclass(frozen=True, slots=True)
class Rules:
    """Where the gates stand."""

    gates: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default="the model's `promotion` in the configuration",
            help="The gates; or promotion or llm-service, which come with Penstock.",
        ),
    ] = None
    config: Config = CONFIG


@app.command()
@bundled
def offline(
    *,
    model: Model,
    candidate: Candidate,
    champion: Champion = None,
    rules: Rules,
    tracking_uri: Tracking = None,
    telling: Telling,
) -> Exit:
    """Judge what the registry knows of a version, alone and beside the champion.

    Metrics, slices, fairness, size, signature (column by column), lineage, checksums, names and tags: as the gate file
    asks. What was not logged is told, and is never a pass.

    \b
      penstock gate offline --model fraud_detector --candidate 42 --strict --output report.json
    """
    from gates.cli import checking

    check = checking.Check.of(model, rules.config, rules.gates, tracking_uri)
    trial = check.trial(candidate, champion)
    report = checking.report(trial, [checking.offline(check, trial)])
    return checking.conclude(report, telling)


@app.command()
@bundled
def staging(
    *,
    model: Model,
    candidate: Candidate,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", show_default="a server is started here", help="A server of the version that runs."),
    ] = None,
    users: Annotated[int, typer.Option(min=1, metavar="N", help="How many clients at once.")] = 10,
    rate: Annotated[float, typer.Option(min=0.01, metavar="N", help="Requests a second of each.")] = 2.0,
    duration: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="How long.")] = 30.0,
    shape: Annotated[str, typer.Option(metavar="SHAPE", help="Of the load: steady, ramp or spike.")] = "steady",
    payload: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default="the model's input example", help="JSON, or .jsonl: one a line."),
    ] = None,
    path: Annotated[str, typer.Option(metavar="PATH", help="Where predictions are asked for.")] = "/invocations",
    starts: Annotated[int, typer.Option(min=1, metavar="N", help="The last start is timed; others warm caches.")] = 2,
    server_log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --url: the log in which each request should stand.")
    ] = None,
    rules: Rules,
    tracking_uri: Tracking = None,
    prometheus_url: PrometheusUrl = None,
    telling: Telling,
) -> Exit:
    """Judge a server of the version under load.

    It is started with `mlflow models serve` on this machine, or runs already at --url; Locust loads it, and prints its
    table. Latency, errors, memory, processor, cold start and logging: as the gate file asks. Of a server that was not
    started here, memory, processor and start are not known.

    \b
      penstock gate staging --model fraud_detector --candidate 42 --users 20 --shape spike --strict
      penstock gate staging --model fraud_detector --candidate 42 --url http://staging:5001 --payload body.json
    """
    from gates.adapters.load import SHAPES, Load
    from gates.cli import checking
    from gates.cli.staging import Server, measure

    checking.require("--shape", shape, SHAPES)
    check = checking.Check.of(model, rules.config, rules.gates, tracking_uri, prometheus_url)
    load = Load(users, rate, duration, shape, path)  # type: ignore[arg-type]  # checked above
    server = Server(url, starts, server_log)
    version, seen = measure(check, candidate, server, load, payload)
    report = checking.report(checking.Versions(model, version), [checking.staging(check, seen)])
    return checking.conclude(report, telling)


@app.command()
@asking
@bundled
def production(
    *,
    model: Model,
    candidate: Candidate,
    rules: Rules,
    prometheus_url: PrometheusUrl = None,
    remedy: Remedy = "off",
    control: Control = CONTROL,
    telling: Telling,
) -> Exit:
    """Judge what production has shown of a candidate.

    Its time in shadow, limits that it broke, accuracy and lift by outcomes, and people's reviews: as the control plane
    has them on record.

    \b
      penstock gate production --model fraud_detector --candidate 42 --strict
    """
    from gates.cli import checking, remedying

    checking.require("--remedy", remedy, remedying.MODES)
    check = checking.Check.of(model, rules.config, rules.gates, None, prometheus_url)
    report = checking.report(checking.Versions(model, candidate), [checking.production(check, candidate, control)])
    remedying.remedy(report, {one.gate: one for one in check.gates.remedies}, remedy, control)
    return checking.conclude(report, telling)


@app.command("all")
@asking
@bundled
def every(
    *,
    model: Model,
    candidate: Candidate,
    champion: Champion = None,
    stages: Annotated[
        str, typer.Option(metavar="STAGES", show_default="all that the file names", help="Some: offline,staging.")
    ] = "",
    url: Annotated[
        str | None, typer.Option(metavar="URL", show_default="a server is started here", help="For staging.")
    ] = None,
    duration: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="Of the load in staging.")] = 30.0,
    payload: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default="the model's input example", help="For staging.")
    ] = None,
    rules: Rules,
    tracking_uri: Tracking = None,
    prometheus_url: PrometheusUrl = None,
    control: Control = CONTROL,
    record: Annotated[bool, typer.Option("--record", help="Put the report on the control plane's record.")] = False,
    telling: Telling,
) -> Exit:
    """Judge every stage that the gate file names gates for: one report, one verdict.

    \b
      penstock gate all --model fraud_detector --candidate 42 --strict --output report.xml
      penstock gate all --model fraud_detector --candidate 42 --stages offline,staging --record --strict
    """
    from gates.adapters.load import Load
    from gates.cli import checking
    from gates.cli.staging import Server, measure

    check = checking.Check.of(model, rules.config, rules.gates, tracking_uri, prometheus_url)
    trial, wanted = checking.Versions(model, candidate, champion or ""), checking.stages_of(check, stages)
    found = []
    if "offline" in wanted:
        trial = check.trial(candidate, champion)
        found.append(checking.offline(check, trial))
    if "staging" in wanted:
        version, seen = measure(check, trial.candidate, Server(url, 2, None), Load(seconds=duration), payload)
        trial = checking.Versions(model, version, trial.champion)
        found.append(checking.staging(check, seen))
    if "live" in wanted:
        found.append(checking.live(check, trial.candidate if model else "", control))
    if "production" in wanted:
        found.append(checking.production(check, trial.candidate, control))
    report = checking.report(trial, found)
    if record:
        checking.record(report, control)
    return checking.conclude(report, telling)


@app.command()
@asking
@bundled
def live(
    *,
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="Whose rollout, and whose gates.")] = "",
    candidate: Annotated[
        str, typer.Option("--candidate", metavar="VERSION", help="Its rollout's own gates are judged, too.")
    ] = "",
    rules: Rules,
    prometheus_url: PrometheusUrl = None,
    remedy: Remedy = "off",
    control: Control = CONTROL,
    telling: Telling,
) -> Exit:
    """Judge the traffic of now: a rollout's live gates, and what Prometheus sees.

    With --candidate the control plane is asked what the gates of its rollout say. Over Prometheus: a value against its
    limit, sustained for a time, its trend, or its flight from a baseline. Without data a gate is INSUFFICIENT, and the
    verdict at best a WARNING.

    \b
      penstock gate live --model fraud_detector --candidate 42 --strict
      penstock gate live --gates llm-service --prometheus-url http://prometheus:9090 --strict
    """
    from gates.cli import checking, remedying

    checking.require("--remedy", remedy, remedying.MODES)
    check = checking.Check.of(model, rules.config, rules.gates, None, prometheus_url, optional=bool(candidate))
    stage = checking.live(check, candidate, control)
    report = checking.report(checking.Versions(model, candidate), [stage])
    remedying.remedy(report, {one.gate: one for one in check.gates.remedies}, remedy, control)
    return checking.conclude(report, telling)
