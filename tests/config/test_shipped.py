"""The configuration that is shipped works as it is, and its schema is that of the code."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

from gates.gate import Gate
from gates.plan import Deadline
from gates.promotion.offline import Score
from gates.promotion.staging import LoadGate
from gates.settings import load, load_promotion
from gates.settings.configuration import promotion_schema, schema
from gates.settings.document import read
from proxy.snapshot import Origin

CONFIG = Path(__file__).parents[2] / "config"
SHIPPED = CONFIG / "penstock.yaml"


def test_it_needs_nothing_but_two_model_servers() -> None:
    settings = load(SHIPPED)
    (model,) = settings.models
    assert settings.mlflow is None
    assert (model.champion, model.candidate) == ("40", "42")
    assert model.servers == {"40": (Origin("127.0.0.1", 5001),), "42": (Origin("127.0.0.1", 5002),)}
    assert {gate.metric for gate in model.gates} == {"error_rate", "latency", "agreement"}
    assert all(gate.severity == "critical" for gate in model.gates)


def test_its_commented_lines_work_as_well(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^# (mlflow:|  tracking_uri:|  experiment:)", r"\1", SHIPPED.read_text())
    text = re.sub(r"(?m)^    # (policy:|  version:|  thresholds:|  rules:)", r"    \1", text)
    text = re.sub(r"(?m)# (max_bad_answers:|deadline:|promotion:|prometheus:|model_versions:)", r"\1", text)
    gates = re.sub(r"(?m)^# (tail:|users:|alone:|slower:|  )", r"\1", (CONFIG / "gates" / "default.yaml").read_text())
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates" / "default.yaml").write_text(gates)
    promotion = re.sub(r"(?m)# (lift:)", r"\1", (CONFIG / "gates" / "promotion.yaml").read_text())
    (tmp_path / "gates" / "promotion.yaml").write_text(promotion)
    (tmp_path / "penstock.yaml").write_text(text.replace('champion: "40"', 'champion: "@champion"'))
    settings = load(tmp_path / "penstock.yaml")
    assert settings.mlflow is not None
    assert settings.mlflow.experiment == "penstock"
    assert settings.prometheus == "http://127.0.0.1:9090"
    assert settings.models[0].policy is not None
    assert "lift" in {gate.name for gate in settings.models[0].promotion.production}
    *_, tail, users, alone, slower = settings.models[0].gates
    assert tail == Gate("tail", "latency", 1.0, 0.999, "advisory", scope="ramp", min_requests=1000)
    assert slower == Gate("slower", "latency", 0.0, severity="advisory", margin=0.5, against="champion")
    assert users == Gate("users", "error_rate", 0.01, per="unit")
    assert alone == Gate("alone", "error_rate", 0.01, margin=0.5, against="pairs")
    plan = settings.models[0].plan
    assert (plan.max_bad_answers, plan.deadline) == (100, Deadline(259_200.0))


def test_it_spells_out_the_defaults(tmp_path: Path) -> None:
    (shipped,) = load(SHIPPED).models
    bare = tmp_path / "penstock.yaml"
    bare.write_text('models: {fraud_detector: {servers: {"40": ["http://h"]}, champion: "40"}}')
    (default,) = load(bare).models
    for setting in ("path_prefix", "timeout", "max_body", "shadow", "agreement", "plan", "budget"):
        assert getattr(shipped, setting) == getattr(default, setting), setting


def test_the_schema_is_that_of_the_code() -> None:
    """`penstock config schema > config/penstock.schema.json` writes it anew."""
    assert (CONFIG / "penstock.schema.json").read_text() == json.dumps(schema(), indent=2) + "\n"
    assert SHIPPED.read_text().startswith("# yaml-language-server: $schema=penstock.schema.json\n")


def test_the_schema_of_promotion_files_is_that_of_the_code() -> None:
    """`penstock config schema --promotion > config/gates/promotion.schema.json` writes it anew."""
    file = CONFIG / "gates" / "promotion.schema.json"
    assert file.read_text() == json.dumps(promotion_schema(), indent=2) + "\n"


def test_the_shipped_promotion_gates_have_the_numbers_that_they_promise() -> None:
    gates = load_promotion(CONFIG / "gates" / "promotion.yaml")
    told = {gate.name: gate for stage in (gates.offline, gates.staging, gates.production) for gate in stage}
    assert len(told) == len(gates.offline) + len(gates.staging) + len(gates.production) - 1  # accuracy stands twice
    accuracy, auc, fairness, calibration, *_ = (gate for gate in gates.offline if isinstance(gate, Score))
    assert (accuracy.margin, auc.margin) == (0.02, 0.01)
    assert (accuracy.bounds.least, auc.bounds.least) == (0.85, 0.8)
    assert (fairness.bounds.most, calibration.bounds.most) == (0.1, 0.1)
    loads = [gate.bounds.most for gate in gates.staging if isinstance(gate, LoadGate)][:6]
    assert loads == [0.025, 0.05, 2**30, 0.8, 2.0, 0.001]


def test_the_go_no_go_file_has_seven_critical_checks_and_five_advisory_ones() -> None:
    live = load_promotion(CONFIG / "gates" / "llm-service.yaml").live
    assert [gate.severity for gate in live] == ["critical"] * 7 + ["advisory"] * 5


def properties(node: object) -> Iterator[tuple[str, dict[str, object]]]:
    if isinstance(node, dict):
        yield from node.get("properties", {}).items()
        for below in node.values():
            yield from properties(below)


def test_every_key_is_described_and_all_but_three_have_a_default_or_can_be_left_out() -> None:
    made = schema()
    keys = list(properties(made))
    assert len(keys) > 50
    assert all(value.get("description") for _, value in keys)
    assert made["required"] == ["models"]
    definitions = made["$defs"]
    assert isinstance(definitions, dict)
    assert definitions["ModelKeys"]["required"] == ["servers", "champion"]
    assert "null" not in json.dumps(made)


def valid(value: object) -> bool:
    """By the schema alone, where a validator of schemas is installed; else by the code that it was made from."""
    if importlib.util.find_spec("jsonschema") is None:
        return load(SHIPPED).path == SHIPPED
    jsonschema = importlib.import_module("jsonschema")
    return bool(jsonschema.Draft202012Validator(schema()).is_valid(value))


def test_the_shipped_file_fits_the_schema() -> None:
    document = read(SHIPPED)
    assert document.problems == ()
    assert valid(document.value)
