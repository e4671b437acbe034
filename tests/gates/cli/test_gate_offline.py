"""`penstock gate offline` against a real MLflow tracking server with six versions of a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gates.cli import run
from gates.exits import Exit
from tests.registry import GOOD_METRICS, GOOD_TAGS, MlflowServer

MODEL = "fraud_detector"
CONFIG = Path(__file__).parents[3] / "config"


@dataclass(frozen=True)
class Registry:
    """The six versions by what is special about them."""

    url: str
    gates: Path
    champion: str
    good: str
    worse: str
    bare: str
    broken: str
    foreign: str


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    worse = {
        **GOOD_METRICS,
        "accuracy": 0.8225,
        "auc": 0.79,
        "demographic_parity": 0.2,
        "calibration_psi": 0.3,
        "accuracy/EU": 0.6,
        "feature_coverage": 0.5,
        "acc": 0.8,
    }
    with MlflowServer(tmp_path_factory.mktemp("registry")) as server:
        champion = server.register(MODEL)
        versions = {
            "champion": champion,
            "good": server.register(MODEL, {**GOOD_METRICS, "accuracy": 0.92}),
            "worse": server.register(MODEL, worse, {"git_commit": "unknown"}, (("amount", "float"), ("hour", "long"))),
            "bare": server.register(MODEL, {}, {}, files=False),
            "broken": server.register(MODEL, inputs=None, padding=2**20),
            "foreign": server.register(
                MODEL, tags={**GOOD_TAGS, "feature_hash": "beef"}, inputs=(("amount", "double"), ("country", "string"))
            ),
        }
        server.client.set_registered_model_alias(MODEL, "champion", champion)
        server.client.set_registered_model_alias(MODEL, "challenger", versions["good"])
        server.register("fraud_detector_v2_final")
        server.client.set_registered_model_alias("fraud_detector_v2_final", "champion", "1")
        server.register("fraud_detector_v2_final")
        server.register("newborn")
        for version in (champion, versions["good"]):
            assert run(["registry", "seal", MODEL, version, "--tracking-uri", server.url]) == Exit.GO
        server.client.set_model_version_tag(MODEL, versions["worse"], "artifact_sha256", "0" * 64)
        gates = server.folder / "promotion.yaml"
        gates.write_text((CONFIG / "gates" / "promotion.yaml").read_text().replace("100MiB", "1MiB"))
        yield Registry(server.url, gates, **versions)


def check(registry: Registry, candidate: str, *more: str, model: str = MODEL) -> int:
    asked = ["gate", "offline", "--model", model, "--candidate", candidate, "--tracking-uri", registry.url]
    return run([*asked, "--gates", str(registry.gates), *more])


def gates_of(registry: Registry, candidate: str, tmp_path: Path, model: str = MODEL) -> dict[str, dict[str, Any]]:
    file = tmp_path / "report.json"
    check(registry, candidate, "--output", str(file), model=model)
    (stage,) = json.loads(file.read_text())["stages"]
    return {gate["gate"]: gate for gate in stage["gates"]}


def test_a_good_version_is_go_by_every_gate(registry: Registry, tmp_path: Path, capfd: Any) -> None:
    gates = gates_of(registry, "@challenger", tmp_path)
    assert {name: gate["reason"] for name, gate in gates.items() if gate["verdict"] != "PASS"} == {}
    assert check(registry, "@challenger", "--strict") == Exit.GO
    printed = capfd.readouterr().out
    assert "GO" in printed
    assert "accuracy 0.92, the champion's 0.93: at least 0.91 asked" in printed.replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "value", "limit", "told"),
    [
        ("accuracy", 0.8225, 0.91, "accuracy 0.8225, the champion's 0.93: at least 0.91 asked"),
        ("auc", 0.79, 0.94, "auc 0.79"),
        ("fairness", 0.2, 0.1, "demographic_parity 0.2: at most 0.1 asked"),
        ("calibration", 0.3, 0.1, "calibration_psi 0.3"),
        ("slices", 0.6, 0.87, "accuracy/EU 0.6, the champion's 0.92"),
        ("feature_coverage", 0.5, 0.95, "feature_coverage 0.5"),
        ("signature", 1.0, 0.0, "input amount: float, the champion's is double"),
        ("lineage", 7.0, 0.0, "no git_commit"),
        ("checksums", 1.0, 0.0, f"{'0' * 64} was registered"),
        ("metric_names", 1.0, 0.0, "acc (did you mean mape?)"),
        ("tags", 7.0, 0.0, "no team; no owner"),
    ],
)
def test_a_bad_version_fails_and_the_report_names_the_number(
    registry: Registry, tmp_path: Path, name: str, value: float, limit: float, told: str
) -> None:
    gate = gates_of(registry, registry.worse, tmp_path)[name]
    assert gate["verdict"] == "FAIL", gate["reason"]
    assert gate["value"] == pytest.approx(value), gate["reason"]
    assert gate["limit"] == pytest.approx(limit)
    assert told in gate["reason"] or name == "metric_names"
    assert gate["source"]


def test_what_is_not_logged_is_insufficient_and_never_a_pass(registry: Registry, tmp_path: Path) -> None:
    gates = gates_of(registry, registry.bare, tmp_path)
    lacking = {name for name, gate in gates.items() if gate["verdict"] == "INSUFFICIENT"}
    scores = {"accuracy", "auc", "fairness", "calibration", "slices", "feature_coverage"}
    assert lacking == scores | {"size", "signature", "checksums", "metric_names"}
    assert gates["accuracy"]["reason"] == "no metric accuracy was logged"
    assert {gates[name]["value"] for name in lacking} == {None}


def test_size_signature_and_feature_hash(registry: Registry, tmp_path: Path) -> None:
    broken = gates_of(registry, registry.broken, tmp_path)
    assert "1 MiB in 2 files: at most 1 MiB asked" in broken["size"]["reason"]
    assert broken["signature"]["reason"] == "1 wrong: the model was logged without a signature"
    assert broken["checksums"]["verdict"] == "INSUFFICIENT"
    foreign = gates_of(registry, registry.foreign, tmp_path)
    assert foreign["signature"]["details"] == [
        "input amount: double",
        "input hour: missing, long asked",
        "input country: new, string",
        "output fraud: long",
    ]
    assert foreign["signature"]["value"] == 2
    assert "feature_hash is beef, the champion's is f00d" in foreign["lineage"]["reason"]


def test_a_name_that_is_no_products_fails(registry: Registry, tmp_path: Path) -> None:
    gate = gates_of(registry, "2", tmp_path, model="fraud_detector_v2_final")["naming"]
    assert gate["verdict"] == "FAIL"
    assert "v2 is a version" in gate["reason"]
    assert "final is a state" in gate["reason"]


def test_exit_statuses_follow_the_light_only_with_strict(registry: Registry, capfd: Any) -> None:
    assert check(registry, registry.worse, "--strict") == Exit.NO_GO
    assert check(registry, registry.worse) == Exit.GO
    assert "NO-GO, and exit status 0, as --strict was not asked for" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("model", "candidate", "more", "exit", "cause"),
    [
        ("nobody", "1", (), Exit.REFUSED, "nobody"),
        (MODEL, "99", (), Exit.REFUSED, "'99'"),
        (MODEL, "@nobody", (), Exit.REFUSED, "@nobody"),
        ("newborn", "1", (), Exit.REFUSED, "newborn has no champion yet"),
        (MODEL, "2", ("--champion", "98"), Exit.REFUSED, "'98'"),
        (MODEL, "1", (), Exit.REFUSED, "is the champion already"),
        (MODEL, "2", ("--format", "yaml"), Exit.USAGE, "--format yaml"),
        (MODEL, "2", ("--output", "report.doc"), Exit.USAGE, "report.doc"),
    ],
)
def test_what_keeps_it_from_a_verdict_is_told_in_a_line(
    registry: Registry, capfd: Any, model: str, candidate: str, more: tuple[str, ...], exit: Exit, cause: str
) -> None:
    assert check(registry, candidate, "--strict", *more, model=model) == exit
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("penstock:")]
    assert len(told) == 1
    assert cause in told[0]


def test_a_registry_out_of_reach_is_no_verdict(capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    asked = ["gate", "offline", "--model", MODEL, "--candidate", "2", "--tracking-uri", "http://127.0.0.1:1"]
    assert run([*asked, "--gates", str(CONFIG / "gates" / "promotion.yaml"), "--strict"]) == Exit.UNAVAILABLE
    assert "127.0.0.1:1 could not resolve" in capfd.readouterr().err


def test_every_format_holds_the_verdict(registry: Registry, tmp_path: Path, capfd: Any) -> None:
    for format, held in {
        "json": '"light": "NO-GO"',
        "markdown": "| ❌ | accuracy | 0.8225 | 0.91 |",
        "junit": '<testcase classname="penstock.offline" name="accuracy">',
    }.items():
        check(registry, registry.worse, "--format", format)
        assert held in capfd.readouterr().out
    check(registry, registry.worse, "--json")
    assert '"light": "NO-GO"' in capfd.readouterr().out
    for name in ("report.json", "report.md", "report.xml", "report.txt"):
        check(registry, registry.worse, "--output", str(tmp_path / name))
        assert "accuracy" in (tmp_path / name).read_text()
