"""A file becomes settings whole, or an error that names every problem with its line and key."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.gate import Budget, Gate
from gates.plan import Deadline, Plan, Stage
from gates.settings import MlflowSettings, ModelSettings, Problem, Settings, SettingsError, load
from gates.settings.notation import Address
from proxy.snapshot import AgreementSpec, ModelRoute, Origin, ShadowPolicy, Snapshot, Sticky, Target

SHIPPED = Path(__file__).parents[3] / "config" / "penstock.yaml"

MINIMAL = """\
models:
  fraud:
    servers: {40: [http://h:1]}
    champion: 40
"""

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

Load = Callable[[str], Settings]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    def loaded(text: str) -> Settings:
        path = tmp_path / "penstock.yaml"
        path.write_text(text)
        return load(path)

    return loaded


def settings_or_problems(path: Path) -> Settings | tuple[Problem, ...]:
    try:
        return load(path)
    except SettingsError as error:
        return error.problems


def problems_of(loaded: Load, text: str) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        loaded(text)
    return caught.value.problems


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


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("", 0, "", "is empty"),
        ("- 1\n", 1, "", "expected a mapping, found a list"),
        ("5\n", 1, "", "expected a mapping, found 5"),
        ("# c\nlisten: h:1\n", 2, "models", "is missing: The models that are served"),
        ("models:\n", 1, "models", "has no value"),
        ("models: []\n", 1, "models", "expected a mapping, found a list"),
        ("models:\n  a b: {servers: {1: [http://h]}, champion: 1}\n", 2, "models.'a b'", "expected a name of letters"),
        ("models: {}\nlistn: h:1\n", 2, "listn", "unknown key; did you mean listen?"),
        (
            "models: {}\nxyz: 1\n",
            2,
            "xyz",
            "unknown key; expected listen, tls, trusted_peers, control, store, mlflow, prometheus or models",
        ),
        ("models: {}\nlisten: 8080\n", 2, "listen", "expected host:port"),
        ("listen: h:1\nmodels: {}\ncontrol: h:1\n", 3, "control", "h:1 is the data port already"),
        ("models: {}\nstore: mysql://u@h/db\n", 2, "store", "expected sqlite:///file.db or postgresql+psycopg://"),
        ("models: {}\nstore: postgresql://u@h/db\n", 2, "store", "expected sqlite:///file.db or postgresql+psycopg://"),
        ("models: {}\nstore: 'sqlite://'\n", 2, "store", "expected sqlite:///file.db"),
        ("models: {}\nstore: postgresql+psycopg://h:port/db\n", 2, "store", "expected sqlite:///file.db"),
        ("models: {}\nmlflow:\n  tracking_uri: mlruns\n", 3, "mlflow.tracking_uri", "expected an MLflow address"),
        ("models: {}\nmlflow:\n  experiment: 5\n", 3, "mlflow.experiment", "expected a text"),
        ("models: {}\nmlflow: true\n", 2, "mlflow", "expected a mapping, found true"),
    ],
)
def test_a_bad_file_is_told_with_line_and_key(loaded: Load, text: str, line: int, key: str, said: str) -> None:
    (problem,) = problems_of(loaded, text)
    assert (problem.file.name, problem.line, problem.key) == ("penstock.yaml", line, key)
    assert said in problem.message


@pytest.mark.parametrize(
    ("text", "below", "said"),
    [
        ("timeot: 3", "timeot", "unknown key; did you mean timeout?"),
        ("match: {prefix: /a}", "match.prefix", "unknown key; did you mean path_prefix?"),
        ("match: {path_prefix: a}", "match.path_prefix", "expected a path that starts with /"),
        ("match: {path_prefix: /-/live}", "match.path_prefix", "the proxy's own"),
        ("candidate: 41", "candidate", "version 41 has no servers; servers are named for: 40"),
        ("candidate: '40'", "candidate", "version 40 is the champion already"),
        ("candidate: '@next'", "candidate", "@next is an alias, and no mlflow section"),
        ("candidate: 4.0", "candidate", "expected a version"),
        ("candidate: '~'", "candidate", "expected a version"),
        ("candidate:", "candidate", "has no value"),
        ("sticky: {}", "sticky", "expected one of header, cookie and json"),
        ("sticky: {header: a, json: b}", "sticky", "expected one of header, cookie and json"),
        ("sticky: {json_path: a}", "sticky.json_path", "unknown key; did you mean json?"),
        ("sticky: {header: a b}", "sticky.header", "expected a header's name"),
        ("timeout: 0", "timeout", "above 0"),
        ("max_concurrent: 0", "max_concurrent", "expected greater than or equal to 1"),
        ("max_concurrent: 513", "max_concurrent", "expected less than or equal to 512"),
        ("health: {interval: 5s}", "health.path", "is missing"),
        ("health: {path: ping}", "health.path", "starts with /"),
        ("health: {path: /ping, interval: 0}", "health.interval", "above 0"),
        ("timeout: 2 s", "timeout", "expected a duration such as 250ms"),
        ("timeout: 1:30", "timeout", "expected a duration such as 250ms"),
        ("timeout: 010", "timeout", "starts with 0"),
        ("timeout: .inf", "timeout", "expected a finite number"),
        ("max_body: 0", "max_body", "expected a size"),
        ("max_body: 1.0e+30", "max_body", "expected a size"),
        ("max_body: -1MiB", "max_body", "expected a size"),
        ("shadow: {percent: 0.005}", "shadow.percent", "at most two decimals"),
        ("shadow: {percent: 101}", "shadow.percent", "from 0 to 100"),
        ("shadow: {percent: 5%}", "shadow.percent", "without the % sign"),
        ("shadow: {percent: true}", "shadow.percent", "found true"),
        ("shadow: {percent: 0}", "plan.shadow.min_requests", "expected 0, as shadow.percent is 0"),
        ("shadow: {max_in_flight: 0}", "shadow.max_in_flight", "greater than or equal to 1, found 0"),
        ("shadow: {max_in_flight: 1e2}", "shadow.max_in_flight", "write it out"),
        ("shadow: {max_in_flight: 1.0e+2}", "shadow.max_in_flight", "expected a valid integer, found 100.0"),
        ("shadow: {max_in_flight: '5'}", "shadow.max_in_flight", "expected a valid integer, found a text"),
        ("shadow: {timeout: 0s}", "shadow.timeout", "above 0"),
        ("shadow: [1]", "shadow", "expected a mapping, found a list"),
        ("agreement: {kind: fuzzy}", "agreement.kind", "expected 'auto', 'label'"),
        ("agreement: {format: xml}", "agreement.format", "expected 'auto', 'mlflow'"),
        ("agreement: {path: a.b}", "agreement.path", "expected format: json beside it"),
        ("agreement: {format: json, path: a..b}", "agreement.path", "expected a dotted path of keys"),
        ("agreement: {ignore: [a b]}", "agreement.ignore[0]", "expected a dotted path of keys"),
        ("agreement: {classes: [a]}", "agreement.classes", "expected kind: label beside them"),
        ("agreement: {kind: label, classes: [a, a]}", "agreement.classes", "expected each class once"),
        ("agreement: {threshold: 1}", "agreement.threshold", "less than 1"),
        ("agreement: {top_k: 0}", "agreement.top_k", "greater than or equal to 1"),
        ("agreement: {min_overlap: 1.1}", "agreement.min_overlap", "less than or equal to 1"),
        ("agreement: {min_correlation: -2}", "agreement.min_correlation", "greater than or equal to -1"),
        ("agreement: {cpu_percent: 20%}", "agreement.cpu_percent", "without the % sign"),
        ("agreement: {noise_probe_percent: 101}", "agreement.noise_probe_percent", "from 0 to 100"),
        ("agreement: {tolerance: {relative: -1}}", "agreement.tolerance.relative", "greater than or equal to 0"),
        ("agreement: {tolerance: 0.1}", "agreement.tolerance", "expected a mapping, found 0.1"),
        ("plan: {steps: []}", "plan.steps", "expected at least one"),
        ("plan: {steps: {percent: 100}}", "plan.steps", "expected a valid list, found a mapping"),
        ("plan: {steps: [{min_requests: 1}]}", "plan.steps[0].percent", "is missing: The percentage of requests"),
        ("plan: {steps: [{percent: 0}, {percent: 100}]}", "plan.steps[0].percent", "expected more than 0, found 0"),
        (
            "plan: {steps: [{percent: 5}, {percent: 5}, {percent: 100}]}",
            "plan.steps[1].percent",
            "more than 5, found 5",
        ),
        ("plan: {steps: [{percent: 5}, {percent: 50}]}", "plan.steps[1].percent", "expected the last step to be 100"),
        ("plan: {steps: [{percent: 5, aproval: true}, {percent: 100}]}", "plan.steps[0].aproval", "mean approval?"),
        ("plan: {steps: [{percent: 100, approval: yes}]}", "plan.steps[0].approval", "boolean, found a text"),
        ("plan: {bake: {min_requests: 1.5}}", "plan.bake.min_requests", "expected a valid integer, found 1.5"),
        ("plan: {on_fail: stop}", "plan.on_fail", "expected 'roll_back' or 'step_down'"),
        ("plan: {steps: [{percent: 100}], on_fail: step_down}", "plan.on_fail", "no lower step"),
        ("plan: {max_bad_answers: 0}", "plan.max_bad_answers", "greater than or equal to 1"),
        ("plan: {deadline: 3h}", "plan.deadline", "expected a mapping"),
        ("plan: {deadline: {then: alert}}", "plan.deadline.after", "is missing: The time that a stage may take"),
        ("plan: {deadline: {after: 0s}}", "plan.deadline.after", "above 0"),
        ("plan: {dry_run: maybe}", "plan.dry_run", "boolean, found a text"),
        ("plan: {bake: {percent: 100}}", "plan.bake.percent", "unknown key; expected min_duration or min_requests"),
        ("gates: []", "gates", "expected a mapping, found a list"),
        ("gates: {a: 1%}", "gates.a", "expected a mapping, found a text"),
        ("gates: {a: {max: 1%}}", "gates.a.metric", "is missing: agreement, error_rate or latency"),
        ("gates: {error_rate: {metric: latency, max: 1s}}", "gates.error_rate.metric", "expected error_rate, as the"),
        ("gates: {error_rate: 1%}", "gates.error_rate", "expected a mapping, found a text"),
        ("gates: {error_rate: {}}", "gates.error_rate.max", "is missing: The largest share of failures"),
        ("gates: {agreement: {max: 98%, min: 98%}}", "gates.agreement.max", "unknown key; expected severity"),
        ("gates: {latency: {quantile: p99, max: 5%}}", "gates.latency.max", "expected a duration"),
        ("gates: {a: {metric: errors, max: 1%}}", "gates.a.metric", "unknown metric; did you mean error_rate?"),
        ("gates: {a: {metric: 5, max: 1%}}", "gates.a.metric", "unknown metric; expected agreement, error_rate or"),
        ("gates: {a: {metric: error_rate}}", "gates.a.max", "is missing: The largest share of failures"),
        ("gates: {a: {metric: error_rate, min: 1%, max: 1%}}", "gates.a.min", "unknown key"),
        ("gates: {a: {metric: error_rate, max: 1}}", "gates.a.max", "expected a percentage with its % sign"),
        ("gates: {a: {metric: error_rate, max: 0.01}}", "gates.a.max", "expected a percentage with its % sign"),
        ("gates: {a: {metric: error_rate, max: 0%}}", "gates.a.max", "more than 0%"),
        ("gates: {a: {metric: error_rate, max: 95%}}", "gates.a.max", "no number of requests can decide it"),
        ("gates: {a: {metric: agreement, min: 100%}}", "gates.a.min", "less than 100%"),
        ("gates: {a: {metric: agreement, min: 5%}}", "gates.a.min", "no number of requests can decide it"),
        ("gates: {a: {metric: latency, max: 250}}", "gates.a.max", "a duration with its unit"),
        ("gates: {a: {metric: latency, max: 2001ms}}", "gates.a.max", "expected at most 2s"),
        ("gates: {a: {metric: latency, max: 1s, quantile: 99}}", "gates.a.quantile", "expected a quantile"),
        ("gates: {a: {metric: latency, max: 1s, severity: crit}}", "gates.a.severity", "'critical' or 'advisory'"),
        ("gates: {latency: {quantile: p95}}", "gates.latency.max", "is missing: name the latency"),
        ("gates: {latency: {max: 1s, margin: 5%}}", "gates.latency.margin", "without against"),
        ("gates: {latency: {max: 1s, against: candidate}}", "gates.latency.against", "expected 'champion'"),
        ("gates: {latency: {against: champion, margin: 0.5}}", "gates.latency.margin", "its % sign, such as 50%"),
        ("gates: {error_rate: {against: champion}}", "gates.error_rate.max", "is missing: The largest share"),
        ("gates: {error_rate: {max: 1%, scope: live}}", "gates.error_rate.scope", "'shadow', 'ramp', 'bake' or 'all'"),
        ("gates: {agreement: {min: 98%, against: champion}}", "gates.agreement.against", "'noise_floor'"),
        (
            "gates: {agreement: {min: 98%, against: noise_floor}}",
            "gates.agreement.against",
            "noise_probe_percent above 0",
        ),
        ("gates: {latency: {max: 1s, against: pairs}}", "gates.latency.against", "'champion'"),
        ("gates: {error_rate: {max: 1%, per: unit}}", "gates.error_rate.per", "as sticky names no unit"),
        ("gates: {agreement: {min: 98%, min_requests: -1}}", "gates.agreement.min_requests", "greater than or equal"),
        ("gates: {a b: {metric: error_rate, max: 1%}}", "gates.'a b'", "expected a name of letters"),
        ("gates: {latency: {metric: latency, mx: 1s, max: 1s}}", "gates.latency.mx", "did you mean max?"),
        ("gates: {a: {metric: error_rate, max: 1%}, a: {metric: error_rate, max: 2%}}", "gates.a", "stands twice"),
        ("gates: !include nowhere.yaml", "gates", "nowhere.yaml cannot be read: No such file"),
        ("budget: {false_alarm: 0.01}", "budget.false_alarm", "expected a percentage with its % sign"),
        ("budget: {false_pass: 100%}", "budget.false_pass", "less than 100%"),
    ],
)
def test_a_bad_model_is_told_with_line_and_key(loaded: Load, text: str, below: str, said: str) -> None:
    (problem,) = problems_of(loaded, f"{MINIMAL}    {text}\n")
    line = 2 if text == "shadow: {percent: 0}" else 5  # what waits for copies is a default, and stands in no line
    assert (problem.file.name, problem.line, problem.key) == ("penstock.yaml", line, f"models.fraud.{below}")
    assert said in problem.message


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("{champion: 40}", "servers", "is missing: The model servers of each version"),
        ("{servers: {40: [http://h]}}", "champion", "is missing: The version that serves"),
        ("{servers: {}, champion: 40}", "champion", "version 40 has no servers; servers are named for: none"),
        ("{servers: {40: []}, champion: 40}", "servers.40", "expected at least one"),
        ("{servers: {40: http://h}, champion: 40}", "servers.40", "expected a valid list, found a text"),
        ("{servers: {40: [ftp://h]}, champion: 40}", "servers.40[0]", "expected http://host:port"),
        ("{servers: {40: [http://h, http://h/v1]}, champion: 40}", "servers.40[1]", "expected http://host:port"),
        ("{servers: {40: [http://h], '@x': [http://h]}, champion: 40}", "servers.@x", "expected a version"),
        ("{servers: {40: [http://h]}, champion: '@x'}", "champion", "@x is an alias, and no mlflow section"),
    ],
)
def test_a_model_without_its_servers_is_refused(loaded: Load, text: str, key: str, said: str) -> None:
    (problem,) = problems_of(loaded, f"# c\nmodels:\n  fraud: {text}\n")
    assert (problem.line, problem.key) == (3, f"models.fraud.{key}")
    assert said in problem.message


def test_an_alias_needs_a_registry_and_no_servers(loaded: Load) -> None:
    model = "models: {fraud: {servers: {40: [http://h]}, champion: '@champion', candidate: '@candidate'}}\n"
    (fraud,) = loaded("mlflow: {}\n" + model).models
    assert (fraud.champion, fraud.candidate) == ("@champion", "@candidate")
    assert len(problems_of(loaded, model)) == 2


@pytest.mark.parametrize("prefix", ["/", "/a", "/a/"])
def test_two_models_never_share_a_path(loaded: Load, prefix: str) -> None:
    first = "{servers: {1: [http://h]}, champion: 1%s}"
    match = ", match: {path_prefix: %s}"
    other = match % prefix.rstrip("/") if prefix != "/" else ""
    text = f"models:\n  a: {first % other}\n  b: {first % (match % prefix)}\n"
    (problem,) = problems_of(loaded, text)
    assert (problem.line, problem.key) == (3, "models.b.match")
    assert problem.message == "models.a matches the same requests"


def test_all_problems_come_at_once_in_order_each_at_its_own_file_and_line(loaded: Load, tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text("errors:\n  metric: error_rate\n  maximum: 1%\n")
    text = """\
lsten: h:1
models:
  a:
    servers: {"40": [http://h], "40": [ftp://h]}
    champion: "41"
    gates: !include gates.yaml
    plan:
      steps:
        - percent: 5
        - percent: 1
        - percent: x
  b:
    champion: 010
    max_body: *big
"""
    problems = problems_of(loaded, text)
    assert [(problem.file.name, problem.line, problem.key) for problem in problems] == [
        ("gates.yaml", 1, "models.a.gates.errors.max"),
        ("gates.yaml", 3, "models.a.gates.errors.maximum"),
        ("penstock.yaml", 1, "lsten"),
        ("penstock.yaml", 4, "models.a.servers.40"),
        ("penstock.yaml", 11, "models.a.plan.steps[2].percent"),
        ("penstock.yaml", 12, "models.b.servers"),
        ("penstock.yaml", 12, "models.b.match"),
        ("penstock.yaml", 13, "models.b.champion"),
        ("penstock.yaml", 14, "models.b.max_body"),
    ]


def test_the_error_reads_as_a_list_of_places(loaded: Load, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(MINIMAL + "    timeot: 3\n    plan: {steps: [{percent: 100.5}]}\n")
    path = tmp_path / "penstock.yaml"
    assert str(caught.value).splitlines() == [
        f"{path}:5: models.fraud.timeot: unknown key; did you mean timeout?",
        f"{path}:6: models.fraud.plan.steps[0].percent: expected a percentage from 0 to 100 without the % sign, "
        "such as 5 or 0.5, found 100.5",
    ]


CANARY = "c4n4ry"


@pytest.mark.parametrize(
    "text",
    [
        "store: mysql://u:{}@h/db",
        "store: [postgresql+psycopg://u:{}@h/db]",
        "store: postgresql+psycopg://u:{}@h:x/db",
        "mlflow: http://u:{}@h",
        "mlflow: {{tracking_uri: 'u:{}@h'}}",
        "mlflow: {{registry_uri: ['http://u:{}@h']}}",
        "models: {{a: {{champion: 1, servers: {{1: ['http://u:{}@h']}}}}}}",
        "models: {{a: {{champion: 1, servers: {{1: 'http://u:{}@h'}}}}}}",
        "models: {{a: {{champion: 1, servers: 'http://u:{}@h'}}}}",
        "store: postgresql+psycopg://u:{}@h/db: x",
    ],
)
def test_no_password_gets_into_an_error(loaded: Load, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(text.format(CANARY))
    assert CANARY not in str(caught.value)


def test_no_password_gets_into_the_repr(loaded: Load) -> None:
    settings = loaded(
        f"models: {{}}\nstore: postgresql+psycopg://u:{CANARY}@h/db\n"
        f"mlflow: {{tracking_uri: 'http://u:{CANARY}@h', registry_uri: 'http://u:{CANARY}@h'}}\n"
    )
    assert CANARY in settings.store
    assert CANARY not in repr(settings)


def test_half_a_file_is_an_error(loaded: Load) -> None:
    whole = MINIMAL.rstrip()
    for length in range(len(whole)):
        assert problems_of(loaded, whole[:length])
    assert loaded(whole).models


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    if isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(below for step, item in items for below in paths(item, (*path, step)))]


TREE = {
    "listen": "127.0.0.1:8080",
    "mlflow": {"experiment": "x"},
    "models": {
        "a": {
            "match": {"path_prefix": "/a", "host": "a.example", "header": {"x-model": "a"}},
            "servers": {"40": ["http://127.0.0.1:5001"], "42": ["http://127.0.0.1:5002"]},
            "champion": "40",
            "candidate": "@candidate",
            "sticky": {"header": "x-user-id"},
            "timeout": "2s",
            "health": {"path": "/ping", "interval": "5s", "unhealthy_after": 3},
            "max_concurrent": 8,
            "shadow": {"percent": 100, "max_in_flight": 256, "max_bytes": "64MiB"},
            "agreement": {"kind": "auto", "tolerance": {"relative": 0.01}},
            "plan": {"shadow": {"min_requests": 5}, "steps": [{"percent": 1, "approval": True}, {"percent": 100}]},
            "gates": {"latency": {"quantile": "p99", "max": "250ms", "severity": "advisory"}},
            "budget": {"false_alarm": "1%"},
        },
        "b": {"servers": {"1": ["http://h"]}, "champion": 1},
    },
}
ODD = (
    st.sampled_from(
        [None, "", "1%", "100%", "p50", "0ms", "1s", "@x", "/", "/a", "error_rate", "42", 0, 1, 100, 0.005, 1e308]
    )
    | st.booleans()
    | st.integers(-(2**56), 2**56)
    | st.sampled_from([[], {}, [{}], [[]], {"a": 1}, {"metric": "latency"}, [{"percent": 100}]])
    | st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=10)
)


@given(changes=st.lists(st.tuples(st.sampled_from(paths(TREE)), ODD), min_size=1, max_size=4))
def test_any_change_gives_lawful_settings_or_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[str | int, ...], object]]
) -> None:
    """What is accepted can be routed: each model makes a lawful route, and all together a lawful snapshot."""
    tree: object = copy.deepcopy(TREE)
    for path, odd in changes:
        tree = changed(tree, path, odd)
    file = tmp_path_factory.getbasetemp() / "penstock.yaml"
    file.write_text(json.dumps(tree, ensure_ascii=False, indent=1))
    outcome = settings_or_problems(file)
    if isinstance(outcome, Settings):
        assert len(Snapshot(1, tuple(map(route_of, outcome.models))).by_model) == len(outcome.models)
    else:
        assert outcome
        assert all(problem.line and problem.message for problem in outcome)


def changed(value: object, path: tuple[str | int, ...], odd: object) -> object:
    """The value with `odd` at `path`, or as it is where an earlier change took the path away."""
    if not path:
        return copy.deepcopy(odd)
    step = path[0]
    if isinstance(value, dict) and step in value:
        value[step] = changed(value[step], path[1:], odd)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        value[step] = changed(value[step], path[1:], odd)
    return value


def route_of(model: ModelSettings) -> ModelRoute:
    def target(version: str) -> Target:
        return Target(version, model.servers.get(version, (Origin("resolved", 1),)))

    return ModelRoute(
        model=model.name,
        path_prefix=model.path_prefix,
        champion=target(model.champion),
        candidate=target(model.candidate) if model.candidate else None,
        ramp_bp=model.plan.steps[-1].share_bp if model.candidate else 0,
        sticky=model.sticky,
        timeout=model.timeout,
        max_body=model.max_body,
        shadow=model.shadow,
        agreement=model.agreement,
        host=model.host,
        header=model.header,
        health=model.health,
        max_concurrent=model.max_concurrent,
    )


@given(cut=st.integers(0, SHIPPED.stat().st_size), junk=st.binary(max_size=20))
def test_any_damage_to_the_shipped_file_is_survived(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    (folder / "gates").mkdir(parents=True, exist_ok=True)
    (folder / "gates" / "default.yaml").write_bytes((SHIPPED.parent / "gates" / "default.yaml").read_bytes())
    whole = SHIPPED.read_bytes()
    (folder / "penstock.yaml").write_bytes(whole[:cut] + junk + whole[cut + len(junk) :])
    assert settings_or_problems(folder / "penstock.yaml")
