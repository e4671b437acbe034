"""Keeping a registry in order: lint, migrate, deprecate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gates.adapters.mlflowstore import connect
from gates.cli import run
from gates.exits import Exit
from gates.promotion.lint import STANDARD_TAGS


@pytest.fixture
def client(tracking_uri: str, tmp_path: Path) -> Any:
    """Two models: one well kept, one that is not; each with three versions."""
    made = connect(tracking_uri)
    for name, description in (("fraud_detector", "Is it fraud?"), ("churn_v2_final", "")):
        made.create_registered_model(name, description=description)
        for number in ("1", "2", "3"):
            made.create_model_version(name, str(tmp_path / "model"), description=f"number {number}")
    for tag in STANDARD_TAGS:
        made.set_model_version_tag("fraud_detector", "2", tag, "set")
    made.set_registered_model_alias("fraud_detector", "champion", "2")
    made.set_registered_model_alias("churn_v2_final", "champion", "1")
    return made


def penstock(tracking_uri: str, *command: str) -> int:
    return run([*command, "--tracking-uri", tracking_uri])


def test_lint_names_what_will_hurt_later(client: Any, tracking_uri: str, tmp_path: Path) -> None:
    client.set_registered_model_alias("fraud_detector", "fallback", "1")
    assert penstock(tracking_uri, "deprecate", "fraud_detector", "1", "--sunset", "2026-12-31") == Exit.GO
    report = tmp_path / "lint.json"
    assert penstock(tracking_uri, "registry", "lint", "--strict", "--output", str(report)) == Exit.NO_GO
    (stage,) = json.loads(report.read_text())["stages"]
    failing = {gate["gate"]: gate["reason"] for gate in stage["gates"] if gate["verdict"] == "FAIL"}
    assert set(failing) == {"fraud_detector/aliases", "churn_v2_final/name", "churn_v2_final/description"} | {
        "churn_v2_final/tags"
    }
    assert "alias @fallback points at a deprecated version" in failing["fraud_detector/aliases"]
    assert "version 1 has no tag team" in failing["churn_v2_final/tags"]


def test_a_dry_run_changes_nothing(client: Any, tracking_uri: str, capfd: Any) -> None:
    assert penstock(tracking_uri, "registry", "migrate", "churn_v2_final", "churn_predictor", "--dry-run") == Exit.GO
    told = capfd.readouterr().out
    assert "churn_v2_final 1 would become a version of churn_predictor, with @champion" in told
    assert "nothing was changed" in told
    assert [model.name for model in client.search_registered_models()] == ["churn_v2_final", "fraud_detector"]


def test_a_migration_takes_everything_along_and_leaves_everything_there(client: Any, tracking_uri: str) -> None:
    client.set_model_version_tag("churn_v2_final", "2", "owner", "@meera")
    assert penstock(tracking_uri, "registry", "migrate", "churn_v2_final", "churn_predictor") == Exit.GO
    assert str(client.get_registered_model("churn_predictor").aliases["champion"]) == "1"
    moved = client.get_model_version("churn_predictor", "2")
    assert (moved.description, moved.tags["owner"]) == ("number 2", "@meera")
    assert moved.tags["migrated_from"] == "models:/churn_v2_final/2"
    assert client.get_model_version("churn_v2_final", "2").tags["migrated_to"] == "models:/churn_predictor/2"
    assert penstock(tracking_uri, "registry", "migrate", "churn_v2_final", "churn_predictor") == Exit.UNAVAILABLE


def test_a_deprecated_version_says_so_and_what_to_use(client: Any, tracking_uri: str, capfd: Any) -> None:
    asked = ("deprecate", "fraud_detector", "1", "--sunset", "2026-12-31", "--replacement", "2", "--reason", "old data")
    assert penstock(tracking_uri, *asked) == Exit.GO
    assert penstock(tracking_uri, *asked) == Exit.GO
    version = client.get_model_version("fraud_detector", "1")
    assert version.description == "[DEPRECATED - sunset 2026-12-31] number 1"
    expected = {"deprecated": "true", "sunset_on": "2026-12-31", "replacement_version": "2"}
    assert expected.items() <= version.tags.items()


@pytest.mark.parametrize(
    ("command", "exit", "cause"),
    [
        (("deprecate", "fraud_detector", "2", "--sunset", "2026-12-31"), Exit.UNAVAILABLE, "is the champion"),
        (("deprecate", "fraud_detector", "1", "--sunset", "soon"), Exit.USAGE, "expected a date"),
        (("deprecate", "fraud_detector", "9", "--sunset", "2026-12-31"), Exit.REFUSED, "'9'"),
        (("registry", "migrate", "churn_v2_final", "churn_v3"), Exit.REFUSED, "v3 is a version"),
        (("registry", "migrate", "nobody", "churn_predictor"), Exit.REFUSED, "nobody"),
    ],
)
def test_what_is_refused(
    client: Any, tracking_uri: str, capfd: Any, command: tuple[str, ...], exit: Exit, cause: str
) -> None:
    assert penstock(tracking_uri, *command) == exit
    assert cause in capfd.readouterr().err
