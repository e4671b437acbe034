from __future__ import annotations

from pathlib import Path

import pytest

from gates.settings import load, load_gates, load_promotion
from gates.shipped import configuration, gate_file, shipped

ROOT = Path(__file__).parents[2]


def test_in_a_checkout_a_file_is_where_it_stands() -> None:
    assert shipped("config/gates") == ROOT / "config" / "gates"


def test_a_bare_name_is_a_gate_file_that_comes_along() -> None:
    assert len(load_promotion(gate_file(Path("llm-service"))).live) == 12
    assert load_promotion(gate_file(Path("promotion"))).offline
    assert load_gates(gate_file(Path("default")))


@pytest.mark.parametrize("named", ["nobody", "promotion.yaml", "./gates/promotion", "../promotion"])
def test_anything_else_is_a_file_of_ones_own(named: str) -> None:
    assert gate_file(Path(named)) == Path(named)


def test_a_file_of_ones_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("promotion").write_text("production: {sla_violations: {}}")
    assert gate_file(Path("promotion")).resolve() == tmp_path / "promotion"


def test_what_one_begins_with_is_whole(tmp_path: Path) -> None:
    for path, content in configuration().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert load(tmp_path / "penstock.yaml").models
    assert {"penstock.schema.json", "gates/promotion.schema.json"} <= configuration().keys()
