"""Whatever is wrong with a file is told, with line and key, and all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gates.settings import SettingsError
from tests.gates.settings.files import MINIMAL, Load, problems_of


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
            "unknown key; expected listen, tls, trusted_peers, control,",
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
