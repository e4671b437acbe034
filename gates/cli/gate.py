"""`penstock gate`: one verdict on a candidate, by the gates of a stage or of them all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gates.cli.options import CONFIG, CONTROL, Config, Control
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
Gates = Annotated[
    Path | None,
    typer.Option(metavar="FILE", show_default="the model's `promotion` in the configuration", help="The gates."),
]
Tracking = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URL",
        envvar="MLFLOW_TRACKING_URI",
        show_default="the configuration's",
        help="The MLflow server or store.",
    ),
]
PrometheusUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="PROMETHEUS_URL", show_default="the configuration's", help="Of its server."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 on WARNING and 2 on NO-GO; without it, 0.")]
Remedy = Annotated[
    str,
    typer.Option(metavar="MODE", help="What to do about a NO-GO, by the gate file: off, dry-run (only tell) or act."),
]
Format = Annotated[str, typer.Option(metavar="FORMAT", help="What to print: text, json, markdown or junit.")]
Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Keep the report, too; .json, .md, .xml (JUnit) or .txt tells the format."),
]


@app.command()
def offline(
    model: Model,
    candidate: Candidate,
    champion: Champion = None,
    gates: Gates = None,
    config: Config = CONFIG,
    tracking_uri: Tracking = None,
    strict: Strict = False,
    format: Format = "text",
    output: Output = None,
) -> Exit:
    """Judge what the registry knows of a version, alone and beside the champion.

    Metrics, slices, fairness, size, signature (column by column), lineage, checksums, names and tags: as the gate file
    asks. What was not logged is told, and is never a pass.

    \b
      penstock gate offline --model fraud_detector --candidate 42 --strict --output report.json
    """
    from gates.cli import checking

    check = checking.Check.of(model, config, gates, tracking_uri)
    trial = check.trial(candidate, champion)
    report = checking.report(trial, [checking.offline(check, trial)])
    return checking.conclude(report, format, output, strict)


@app.command()
def live(
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="Whose configuration names the gates.")] = "",
    gates: Gates = None,
    config: Config = CONFIG,
    prometheus_url: PrometheusUrl = None,
    remedy: Remedy = "off",
    control: Control = CONTROL,
    strict: Strict = False,
    format: Format = "text",
    output: Output = None,
) -> Exit:
    """Judge what Prometheus sees of the service now.

    A value against its limit, sustained for a time, its trend, or its flight from a baseline. Without data a gate is
    INSUFFICIENT, and the verdict at best a WARNING.

    \b
      penstock gate live --gates config/gates/llm-service.yaml --prometheus-url http://prometheus:9090 --strict
    """
    from gates.cli import checking, remedying

    checking.require("--remedy", remedy, remedying.MODES)
    check = checking.Check.of(model, config, gates, None, prometheus_url)
    report = checking.report(checking.Versions(model), [checking.series(check)])
    remedying.remedy(report, {one.gate: one for one in check.gates.remedies}, remedy, control)
    return checking.conclude(report, format, output, strict)
