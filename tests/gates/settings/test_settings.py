"""A file becomes settings whole, or an error that names every problem with its line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gates.gate import Budget, Gate
from gates.plan import Deadline, Plan, Stage
from gates.settings import MlflowSettings, ModelSettings, Settings
from gates.settings.notation import Address
from proxy.snapshot import AgreementSpec, ModelRoute, Origin, ShadowPolicy, Sticky, Target
from tests.gates.settings.files import MINIMAL, Load

FULL = """\
listen: 0.0.0.0:80
control: "[::1]:9000"
store: postgresql+psycopg://u:p@h/db
mlflow: {tracking_uri: http://m:5000, registry_uri: databricks-uc, experiment: /Users/me}
models:
  fraud:
    match: {path_prefix: /fraud/}
    servers: {"40": [http://a, http://b:1], "42": ["http://[::1]:2"]}
    champion: "@champion"
    candidate: "42"
    sticky: {json: user.id}
    timeout: 500ms
    max_body: 1MB
    shadow: {percent: 0.05, max_in_flight: 3, max_bytes: 2KiB, timeout: 3, methods: [PUT], paths: [/infer]}
    agreement:
      kind: label
      format: json
      path: result.labels
      ignore: [id, meta.*.at]
      tolerance: {relative: 0, absolute: 2, precision: float32}
      classes: [cat, dog]
      threshold: 0.25
      top_k: 3
      min_overlap: 1
      min_correlation: -0.5
      max_body: 9
      cpu_percent: 12.5
      noise_probe_percent: 0.5
    plan:
      shadow: {min_duration: 1m, min_requests: 7}
      steps:
        - {percent: 0.5, min_requests: 9}
        - {percent: 12.34, min_duration: 1h, approval: true}
        - {percent: 50, min_requests: 0}
        - {percent: 100, min_duration: 0}
      bake: {min_duration: 2d, min_requests: 4}
      on_fail: step_down
      max_bad_answers: 50
      deadline: {after: 3h, then: roll_back}
      cool_down: 90s
      dry_run: true
    gates:
      error_rate: {max: 0.5%, against: champion, margin: 120%}
      champions: {metric: latency, against: champion}
      patient: {metric: agreement, min: 90%, scope: bake, min_requests: 6, min_coverage: 20%}
      slow: {metric: latency, quantile: p99.9, max: 250ms, severity: advisory}
      median: {metric: latency, quantile: p50, max: 10ms}
      usual: {metric: latency, max: 3s}
      same: {metric: agreement, min: 99.5%, severity: critical}
    budget: {false_alarm: 2%, false_pass: 10%}
  bare:
    match: {path_prefix: /bare}
    servers: {v1: [http://h:1]}
    champion: v1
"""


def test_every_key_is_read(loaded: Load) -> None:
    settings = loaded(FULL)
    assert (settings.listen, settings.control) == (Address("0.0.0.0", 80), Address("::1", 9000))
    assert settings.store == "postgresql+psycopg://u:p@h/db"
    assert settings.mlflow == MlflowSettings("http://m:5000", "databricks-uc", "/Users/me")
    assert [model.name for model in settings.models] == ["fraud", "bare"]
    assert settings.models[0] == ModelSettings(
        name="fraud",
        path_prefix="/fraud/",
        servers={"40": (Origin("a", 80), Origin("b", 1)), "42": (Origin("::1", 2),)},
        champion="@champion",
        candidate="42",
        sticky=Sticky("json", "user.id"),
        timeout=0.5,
        max_body=1_000_000,
        buffer=16 * 1024 * 1024,
        shadow=ShadowPolicy(5, 3, 2048, 3.0, ("PUT",), ("/infer",)),
        agreement=AgreementSpec(
            relative=0,
            absolute=2,
            max_body=9,
            kind="label",
            format="json",
            path="result.labels",
            ignore=("id", "meta.*.at"),
            precision="float32",
            classes=("cat", "dog"),
            threshold=0.25,
            top_k=3,
            min_overlap=1,
            min_correlation=-0.5,
            cpu_bp=1250,
            noise_bp=50,
        ),
        plan=Plan(
            Stage(0, 60.0, 7),
            (
                Stage(50, 1800.0, 9),
                Stage(1234, 3600.0, 9, approval=True),
                Stage(5000, 3600.0, 0),
                Stage(10_000, 0.0, 0),
            ),
            Stage(10_000, 172_800.0, 4),
            on_fail="step_down",
            max_bad_answers=50,
            deadline=Deadline(10_800.0, "roll_back"),
            cool_down=90.0,
            dry_run=True,
        ),
        gates=(
            Gate("error_rate", "error_rate", 0.005, margin=1.2, against="champion"),
            Gate("champions", "latency", 0.0, margin=0.5, against="champion"),
            Gate("patient", "agreement", 0.9, scope="bake", min_requests=6, min_coverage=0.2),
            Gate("slow", "latency", 0.25, 0.999, "advisory"),
            Gate("median", "latency", 0.01, 0.5),
            Gate("usual", "latency", 3.0, 0.99),
            Gate("same", "agreement", 0.995, min_coverage=0.05),
        ),
        budget=Budget(0.02, 0.1),
    )


def test_what_is_left_out_has_the_defaults_of_the_planes(loaded: Load, tmp_path: Path) -> None:
    settings = loaded(MINIMAL)
    (model,) = settings.models
    origins = (Origin("h", 1),)
    route = ModelRoute("fraud", "/", Target("40", origins))
    assert model == ModelSettings(
        name="fraud",
        path_prefix=route.path_prefix,
        servers={"40": origins},
        champion="40",
        candidate=None,
        sticky=route.sticky,
        timeout=route.timeout,
        max_body=route.max_body,
        buffer=route.buffer,
        shadow=route.shadow,
        agreement=route.agreement,
        plan=Plan(
            Stage(0, 86_400.0, 5000),
            tuple(Stage(percent * 100, 1800.0, 500) for percent in (1, 5, 10, 25, 50, 100)),
            Stage(10_000, 86_400.0, 0),
            cool_down=3600.0,
        ),
        gates=(Gate("error_rate", "error_rate", 0.01),),
        budget=Budget(),
    )
    assert settings == Settings(
        listen=Address("127.0.0.1", 8080),
        control=Address("127.0.0.1", 9080),
        store="sqlite:///penstock.db",
        mlflow=None,
        models=(model,),
        alerts=settings.alerts,
        path=tmp_path / "penstock.yaml",
    )


def test_a_file_without_models_serves_nobody_yet(loaded: Load) -> None:
    assert loaded("models: {}\nmlflow: {}\n").mlflow == MlflowSettings("sqlite:///mlflow.db", None, "penstock")


def test_gates_may_be_none(loaded: Load) -> None:
    assert loaded(MINIMAL + "    gates: {}\n").models[0].gates == ()


@pytest.mark.parametrize(
    ("sticky", "read"),
    [("{header: X-User}", Sticky("header", "x-user")), ("{cookie: Sid}", Sticky("cookie", "Sid"))],
)
def test_a_sticky_source_is_read(loaded: Load, sticky: str, read: Sticky) -> None:
    assert loaded(MINIMAL + f"    sticky: {sticky}\n").models[0].sticky == read
